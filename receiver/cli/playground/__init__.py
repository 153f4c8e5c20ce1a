"""The child process in which the console's playground tries a route, so that its limits are those of a process."""
