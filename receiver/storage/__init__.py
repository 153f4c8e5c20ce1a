"""Everything that is stored in Redis and on the local disk, one folder for each concern. Nothing here knows HTTP,
Nexudus or routes.yaml.
"""
