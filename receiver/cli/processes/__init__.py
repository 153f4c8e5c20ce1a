"""The commands that run until they are stopped: serve, work, watch, console, simulate."""
