"""Registrations at Nexudus: the plan of changes, applying it, and the loop that keeps them right and notes the gaps in
which a hook did not serve. Calls to Nexudus go through `receiver.nexudus`.
"""
