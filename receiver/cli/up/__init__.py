"""`frontdesk up`: everything on one machine, and what that needs first."""
