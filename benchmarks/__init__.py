"""Benchmarks: what a request costs in CPU time, here and with the peers. See README.md."""
