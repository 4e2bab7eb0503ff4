"""The cases of ``conformance/http1`` over real sockets, whole and in two writes."""

from __future__ import annotations

from support import conformance

ECHO = conformance.ROOT / "conformance" / "http1"


@conformance.within_limit
def test_every_case_ends_as_expected(serve):
    # Idle connections outlive the runner's patience, so that no time-out passes for a close.
    server = serve("echo:app", "--app-dir", str(ECHO), "--timeout-keep-alive", "100")
    host, port = server.address
    conformance.passes("http1", "--address", f"{host}:{port}", "--patience", "30")
    assert server.alive()
