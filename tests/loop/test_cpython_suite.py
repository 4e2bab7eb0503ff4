"""CPython's own tests of a loop on ours, a selection; ``make conformance-loop`` runs all."""

from __future__ import annotations

import importlib.util

import pytest
from support import conformance


@conformance.within_limit
@pytest.mark.skipif(
    importlib.util.find_spec("test.test_asyncio") is None,
    reason="this Python comes without its tests (Debian: libpython3.N-testsuite)",
)
@pytest.mark.parametrize("module", ["test_events", "test_sock_lowlevel"])
def test_cpythons_tests_pass_but_for_known_differences(module):
    conformance.passes("loop", module)
