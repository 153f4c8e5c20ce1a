"""What a process needs to run in order: logs, standard streams, signals, threads and child processes. What the
process does is not here: see `receiver.cli.processes`.
"""
