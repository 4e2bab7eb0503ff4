"""More clients than file descriptors (reliability C15): those that are open are served, the others wait."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable

from support.server import ServerProcess

WARNING = r"New connections wait: too many open files \(EMFILE\)"
LIMIT = 64


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


def test_clients_beyond_the_descriptors_wait_and_are_served_in_time(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("apps.scenarios:app", "--timeout-keep-alive", "60", preexec_fn=limit)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(2 * LIMIT)]
        server.expect_log(WARNING)
        assert clients[0].ask("GET", "/").status == 404  # there is no scenario of that name
        for client in clients[:LIMIT]:
            client.close()
        for client in clients[LIMIT:]:
            assert client.ask("GET", "/").status == 404
            client.close()
    assert server.terminate() == -15
    assert server.stderr.count("New connections wait") == 1
