"""The version, in one place. The compiled half carries the same number."""

__version__ = "0.1.0"
