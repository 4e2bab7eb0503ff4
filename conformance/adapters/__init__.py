"""Faults of the classes for applications at full size, on any ASGI server; see README.md."""
