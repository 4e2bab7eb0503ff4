"""A browser's WebSockets against any server."""
