"""Everything that is kept, in Redis and on the local disk, one room for each concern. Nothing here knows HTTP,
Nexudus or routes.yaml.
"""
