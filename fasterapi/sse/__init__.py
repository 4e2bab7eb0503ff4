"""Server-sent events: the classes for applications, and the client."""
