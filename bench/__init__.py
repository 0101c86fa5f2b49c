"""Benchmarks: they start real things, load them, and print what they cost; `src/` knows none of them."""
