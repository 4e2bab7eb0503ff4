"""Rows of the reliability scoreboard, each measured on any ASGI server by the same script; see README.md."""
