"""Fixtures of this folder."""

import functools

import pytest
from support.events import Events


@pytest.fixture
def events(in_process):
    return functools.partial(Events, in_process)
