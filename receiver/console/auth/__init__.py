"""Who may use the console: tokens, sessions, sign-in links, and how often somebody may try."""
