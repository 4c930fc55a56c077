"""Hours of steady load on a running stream, and whether memory, state, files and latency stay flat."""
