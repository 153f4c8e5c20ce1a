"""From an authentic request to kept events: verify, parse, route, keep. HTTP is in `receiver.web`, the store in
`receiver.storage.keep`.
"""
