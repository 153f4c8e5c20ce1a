"""What back-fill asks for each action, and when each one happened. Values only; `search` beside it asks Nexudus.

`action_rules` has the rule of each action; it takes those of contracts and invoices from `billing_rules`, and what most
rules share from `create_update_delete`.
"""
