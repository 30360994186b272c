"""The service under a mixed load and faults of every part: see `__main__`."""
