"""Proves that nothing is lost, doubled or misrouted, whatever is killed whenever: `python -m benchmarks.faults`."""
