"""The Valkey server that Frontdesk runs itself when no FRONTDESK_REDIS_URL is set: finding the program, starting it."""
