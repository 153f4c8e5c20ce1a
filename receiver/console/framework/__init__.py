"""What every page is made of: the request of somebody who is signed in, rendering, services, long tasks, headers."""
