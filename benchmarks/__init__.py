"""Both sides of every comparison in one run, in turns, medians and their ratio: `python -m benchmarks [NAME...]`."""
