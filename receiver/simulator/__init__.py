"""A Nexudus on this machine, for trying routes and plugins without an account: its API and the events it fires."""
