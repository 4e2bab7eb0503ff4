"""What a forked child gives up: descriptors whose closing tells others that this process has ended.

A lock and a connection last until every process that has them open has closed them, and a child may outlive its parent, as those of a
pool do when it is killed. The state is the process's, as its forks are; who registers here owns the descriptors.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Holder(Protocol):
    def descriptors(self) -> list[int]:
        """Those that are open."""


_holders: WeakSet[Holder] = WeakSet()


def give_up_in_children(holder: Holder) -> None:
    """As long as the holder lives."""
    _holders.add(holder)


def _give_up() -> None:
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for holder in list(_holders):
        for descriptor in holder.descriptors():
            # Its number stays taken: the child's copies of the objects would close whatever got it next.
            os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


os.register_at_fork(after_in_child=_give_up)
