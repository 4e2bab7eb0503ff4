"""The numbered rows of what ASGI asks of a server, run against any server."""
