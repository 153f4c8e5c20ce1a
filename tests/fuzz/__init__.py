"""Fuzzing: whatever comes in from outside, steered by atheris towards code that nothing has reached yet.

`python -m tests.fuzz TARGET -max_total_time=60` runs one target until something is wrong or the time is over; what it
found lies in a file then, which the same command with that file as argument repeats. `make test` gives each a few
seconds, `make faults` a minute. What a target asserts is in its module; that no exception but the promised one gets out
holds for all of them.
"""
