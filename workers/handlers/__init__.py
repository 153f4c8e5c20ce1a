"""The built-in handlers. Like any plugin, they import only `workers` and `workers.api`."""
