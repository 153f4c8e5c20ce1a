"""`frontdesk mcp`: the console's API as tools of the Model Context Protocol, for an assistant on this machine."""
