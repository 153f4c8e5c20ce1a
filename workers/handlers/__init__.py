"""The built-in handlers. They use only what every plugin may use: `workers.api`."""
