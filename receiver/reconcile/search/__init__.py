"""Asks Nexudus what changed while webhooks were not healthy: searches of its entity APIs, and the guards against what
they get wrong. The results are candidates; nothing is stored here.
"""
