"""The peers, each as its own documentation would have it written, doing what Frontdesk does as far as they can.

Nothing here is imported by the harness: each runs in an environment of its own (`tests/benchmarks/environments.py`).
The environment tells it where its store is (`BENCH_REDIS`), with which secret bodies are signed (`BENCH_SECRET`), where
its jobs leave their mark (`BENCH_MARKS`), how long each one waits (`BENCH_WAIT_MS`), what a record is (`BENCH_RECORD`).
"""
