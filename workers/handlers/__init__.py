"""The built-in handlers. Like any plugin, they import only `workers`, `workers.api` and `workers.templates`."""
