"""`frontdesk mcp`, spoken to by the client of the official library."""
