"""Infrastructure of a process: logs, standard streams, signals, threads and child processes. What each process does is
in `receiver.cli.processes`.
"""
