"""CPython's own tests of asyncio's event loop, run on fasterapi's."""
