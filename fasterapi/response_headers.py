"""The headers that every response carries besides the application's: ``--header``, and ``server``."""

import re
from collections.abc import Iterable, Sequence

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110 5.6.2: what a field's name is made of."""
FIELD_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
"""RFC 9110 5.5: no control character but the tab."""
OF_THE_CONNECTION = frozenset(
    {
        *(b"connection", b"content-length", b"keep-alive", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
"""Fields about one message's framing or one connection: never the same for every response."""


def encode(headers: Iterable[Sequence[str]], *, server_header: bool) -> list[tuple[bytes, bytes]]:
    """The fields as bytes, names in lower case; first ``server``, where it is wanted and not given.

    Raises:
        ValueError: a name or a value that no response may carry.
    """
    encoded = [_encode_field(*field) for field in headers]
    if server_header and all(name != b"server" for name, _ in encoded):
        encoded.insert(0, (b"server", b"fasterapi"))
    return encoded


def _encode_field(name: str, value: str) -> tuple[bytes, bytes]:
    try:
        field = name.encode("latin-1").lower(), value.encode("latin-1").strip(b" \t")
    except UnicodeEncodeError:
        raise ValueError(f"header {name!r}: {value!r} is not Latin-1") from None
    if not TOKEN.fullmatch(field[0]):
        raise ValueError(f"header {name!r} has a name that no header may have")
    if not FIELD_VALUE.fullmatch(field[1]):
        raise ValueError(f"header {name!r} has a value that no header may have: {value!r}")
    if field[0] in OF_THE_CONNECTION:
        raise ValueError(f"header {name!r} is the server's own business")
    return field
