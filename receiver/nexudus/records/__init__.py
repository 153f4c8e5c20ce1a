"""The records of Nexudus as types: a class for each kind that a hook can carry, named as in the REST API."""
