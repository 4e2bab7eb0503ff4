"""Tests of CPython's that do not pass on fasterapi's loop, each with its reason.

Whoever uses the loop by what asyncio documents can meet none of these: the tests look into the
scheduler's private parts, or replace them or its sockets by mocks, which a native scheduler does not know.
"""

from __future__ import annotations

POLL = "mocks the selector, or what its events are turned into; descriptors are polled natively"
QUEUES = "looks into _ready, _scheduled or _timer_cancelled_count; the queues are native"
TASK = "puts a Task written in Python in asyncio.tasks.Task's place, and a running loop that only it knows"
SOCKETS = "puts a mock in a socket's place; sockets are connected and accepted natively"
ABSTRACT = "what the abstract class lacks, ours has"

_BASE = "test_base_events.BaseEventLoopTests."

DIFFERENCES: dict[str, str] = {
    _BASE + "test__run_once": POLL,
    _BASE + "test__run_once_schedule_handle": POLL,
    _BASE + "test_run_forever_pre_stopped": POLL,
    _BASE + "test_single_selecter_event_callback_after_stopping": POLL,
    _BASE + "test_custom_run_forever_integration": POLL,
    "test_unix_events.SelectorEventLoopUnixSockSendfileTests.test_sock_sendfile_blocking_error": POLL,
    _BASE + "test__run_once_cancelled_event_cleanup": QUEUES,
    _BASE + "test_call_later": QUEUES,
    _BASE + "test_call_soon": QUEUES,
    **{
        f"test_tasks.{kind}GatherTests.{test}": QUEUES
        for kind in ("Coroutine", "Future")
        for test in (
            "test_one_exception",
            "test_result_exception_success",
            "test_return_exceptions",
            "test_success",
        )
    },
    "test_tasks.CoroutineGatherTests.test_duplicate_coroutines": QUEUES,
    "test_tasks.FutureGatherTests.test_one_cancellation": QUEUES,
    **{
        f"test_events.TestPyGetEventLoop.{test}": TASK
        for test in (
            "test_get_event_loop_new_process",
            "test_get_event_loop_returns_running_loop",
            "test_get_event_loop_returns_running_loop2",
            "test_get_running_loop_already_running",
        )
    },
    _BASE + "test_not_implemented": ABSTRACT,
    **{
        f"test_base_events.BaseEventLoopWithSelectorTests.{test}": SOCKETS
        for test in (
            "test_accept_connection_exception",
            "test_accept_connection_retry",
            "test_create_connection_bluetooth",
            "test_create_connection_ip_addr",
            "test_create_connection_ipv6_scope",
            "test_create_connection_no_inet_pton",
            "test_create_connection_service_name",
            "test_create_connection_timeout",
        )
    },
}

SINCE = {
    _BASE + "test_custom_run_forever_integration": (3, 13),
    **{name: (3, 14) for name, reason in DIFFERENCES.items() if reason == TASK},
}
"""The first Python with a test, where that is not the oldest one."""


def known_in(module: str, version: tuple[int, ...]) -> dict[str, str]:
    """What is known to be different in a module of a Python's tests: test -> reason."""
    return {
        name.partition(".")[2]: reason
        for name, reason in DIFFERENCES.items()
        if name.startswith(module + ".") and version >= SINCE.get(name, (0,))
    }


WHEN = "reads a timer's private _when; ours has when(), which asyncio documents"
PATCHED = "puts a mock in the place of a transport's write(); ours is no Python object whose methods can be replaced"

PACKAGES: dict[str, dict[str, str]] = {
    "anyio": {},
    "aiohttp": {
        "tests/test_helpers.py::test_when_timeout_smaller_second[pyloop]": WHEN,
        "tests/test_helpers.py::test_when_timeout_smaller_second_with_low_threshold[pyloop]": WHEN,
        "tests/test_client_ws_functional.py::test_heartbeat_connection_closed[pyloop]": PATCHED,
        "tests/test_web_websocket_functional.py::test_heartbeat_connection_closed[pyloop]": PATCHED,
    },
}
"""What is different in packages' own tests: package -> test -> reason."""
