"""Other projects' tests of asyncio's event loop, run on fasterapi's: CPython's, anyio's and aiohttp's."""
