"""What one receiver got of several senders that number their messages, and whether all that is missing was told."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Sent:
    """By one sender: how many numbers, and which of them it was told may be lost."""

    count: int
    failed: set[int]


@dataclass
class Received:
    """One receiver's messages, in the order in which they came; ``lost()`` where it was told that some are missing."""

    messages: int = 0
    told: int = 0
    """Losses that it was told of by reason of an outage."""
    again: int = 0
    """Messages that came again, or behind a later one of the same sender."""
    _next: dict[str, int] = field(default_factory=dict)
    _gaps: list[tuple[str, range, bool]] = field(default_factory=list)
    """Numbers that are missing, and whether that was told at their place."""
    _told_since: set[str] = field(default_factory=set)
    """Senders of whom nothing came since the last time that a loss was told."""

    def message(self, text: str) -> None:
        sender, number = text.split()
        expected, at = self._next.get(sender, 0), int(number)
        self.messages += 1
        if at < expected:
            self.again += 1
            return
        if at > expected:
            self._gaps.append((sender, range(expected, at), sender in self._told_since))
        self._next[sender] = at + 1
        self._told_since.discard(sender)

    def lost(self, senders: set[str], by_outage: bool) -> None:
        self.told += by_outage
        self._told_since |= senders

    def reached(self, sender: str) -> int:
        """The next number that is expected."""
        return self._next.get(sender, 0)

    @property
    def resumed(self) -> bool:
        """Whether something has come of every sender since a loss was told."""
        return not self._told_since

    def silent_losses(self, sent: dict[str, Sent]) -> int:
        """Missing messages that neither this receiver nor their sender was told of."""
        gaps = list(self._gaps)
        for sender, each in sent.items():
            gaps.append((sender, range(self.reached(sender), each.count), sender in self._told_since))
        return sum(len(set(gap) - sent[sender].failed) for sender, gap, told in gaps if not told)
