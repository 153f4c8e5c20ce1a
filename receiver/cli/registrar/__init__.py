"""The commands about webhooks at Nexudus: plan, apply, hooks. The loop is `receiver.cli.processes.watch`."""
