"""One module for each page of the console: the facts it shows and the acts it offers."""
