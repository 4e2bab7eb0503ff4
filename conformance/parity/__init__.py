"""Does fasterapi answer as uvicorn does? ``python -m conformance.parity`` compares them request by request."""
