"""What the tests share: a server process, a strict client, and a line between an application and its test.

server       starts and ends one server process, reads its log
inprocess    the server in a thread of the test process, with the check of live native objects
wire         a raw HTTP/1.1 client that accepts nothing the RFCs forbid
websocket    the same for WebSocket: sends any frame, takes only right ones
probe        the application's end of the line to its test
measure      memory of a process and bytes in the kernel's socket queues
conformance  runs a program of the folder conformance
"""
