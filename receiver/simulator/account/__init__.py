"""What the simulated Nexudus knows, and how it changes and is searched. Pure, but for the file that keeps hooks."""
