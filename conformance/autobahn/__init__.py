"""Autobahn|Testsuite, every case, against any server."""
