"""The queue of deliveries: claims, acknowledgements, leases, and what deliveries wait for. Running them is in
`workers`.
"""
