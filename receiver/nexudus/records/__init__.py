"""The records of Nexudus as types, one module for each family. Handlers import them from `workers.records`."""
