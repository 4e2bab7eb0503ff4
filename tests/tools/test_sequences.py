"""What ``conformance/adapters`` makes of numbered messages: twice, late, missing and told, missing in silence."""

from __future__ import annotations

import pytest

from conformance.adapters.sequences import Received, Sent


def received(*messages: str) -> Received:
    """A receiver of these; ``lost`` is what it is told of an outage, ``slow`` of its own slowness."""
    one = Received()
    for message in messages:
        if message in ("lost", "slow"):
            one.lost({"a", "b"}, by_outage=message == "lost")
        else:
            one.message(message)
    return one


@pytest.mark.parametrize(
    ("messages", "again", "silent"),
    [
        (["a 0", "b 0", "a 1", "b 1", "a 2", "b 2"], 0, 0),
        (["a 0", "a 1", "a 1", "a 2", "b 0", "b 2", "b 1"], 2, 1),
        (["a 0", "a 2", "b 0", "b 1", "b 2"], 0, 1),
        (["a 0", "lost", "a 2", "b 0", "b 1", "b 2"], 0, 0),
        # Told in the wrong place: behind the gap, or before something that came in between.
        (["a 0", "a 2", "lost", "b 0", "b 1", "b 2"], 0, 1),
        (["lost", "a 0", "a 2", "b 0", "b 1", "b 2"], 0, 1),
        # A place of two senders.
        (["a 0", "b 0", "slow", "b 2", "a 2"], 0, 0),
        # The end is missing, and the beginning.
        (["a 0", "b 0", "b 1"], 0, 3),
        (["a 0", "b 0", "lost"], 0, 0),
        (["b 0", "a 2", "b 1", "b 2"], 0, 2),
    ],
)
def test_what_is_missing_and_was_not_told(messages: list[str], again: int, silent: int) -> None:
    one = received(*messages)
    sent = {"a": Sent(3, set()), "b": Sent(3, set())}
    assert (one.again, one.silent_losses(sent)) == (again, silent)


def test_what_its_sender_was_told_of_is_not_lost_in_silence() -> None:
    one = received("a 0", "a 3")
    assert one.silent_losses({"a": Sent(5, {1, 4})}) == 1
    assert received("lost", "a 0", "lost", "slow").told == 2


def test_it_has_resumed_once_something_has_come_of_each_sender() -> None:
    streams = [
        ["a 0"],
        ["a 0", "lost"],
        ["lost", "a 0"],
        ["lost", "a 0", "b 0"],
        ["lost", "a 0", "b 0", "slow"],
    ]
    assert [received(*messages).resumed for messages in streams] == [True, False, False, True, False]
