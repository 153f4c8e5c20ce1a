"""Turns an authentic request into stored events: verify the signature, parse, route, store. HTTP is in `receiver.web`,
the store in `receiver.storage.keep`.
"""
