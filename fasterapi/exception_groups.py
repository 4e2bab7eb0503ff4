"""What a group of exceptions is made of: tasks that ran side by side (``asyncio.TaskGroup``, anyio's) end in one, all of them
with the same news as a rule, that the client has left."""

from __future__ import annotations


def consists_of(
    error: BaseException | None, kind: type[BaseException] | tuple[type[BaseException], ...]
) -> bool:
    """Whether it is of that kind, or a group (also of Python 3.10's backport) of nothing else."""
    if isinstance(error, kind):
        return True
    parts = getattr(error, "exceptions", None)
    return isinstance(parts, tuple) and bool(parts) and all(consists_of(part, kind) for part in parts)


def first_of(error: BaseException) -> BaseException:
    """Of a group the first that is none."""
    while parts := getattr(error, "exceptions", None):
        error = parts[0]
    return error
