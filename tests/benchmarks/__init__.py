"""Benchmarks: Frontdesk beside its peers, in one run. `python -m tests.benchmarks --help` says how."""
