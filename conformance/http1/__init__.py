"""What HTTP/1.1 asks of a server, as cases for any of them; see ``README.md``."""
