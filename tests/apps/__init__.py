"""Applications for the tests, as plain ASGI where the server itself is tested.

scenarios    one application for most tests; the path's first part names the scenario
lifespans    one application for each way a lifespan can go
starlette_app, fastapi_app, starlette_websockets   what users write, for tests/frameworks and conformance/parity
"""
