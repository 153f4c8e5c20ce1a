"""The documents tell the truth: their commands and examples run, their links lead somewhere, nothing is left out."""
