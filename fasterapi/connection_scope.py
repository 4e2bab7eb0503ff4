"""What an ASGI scope says of a request, for the classes of connections: headers, query, cookies, URL, path.

Read where it is asked for, and only then. Owned by the connection that it describes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Address(NamedTuple):
    """A client's address."""

    host: str
    port: int


class MultiDict(Mapping[str, str]):
    """Names with one or more values each, in the order in which they came; ``[name]`` is the last one's."""

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(self._key(name), value) for name, value in pairs]
        self._values = dict(self._pairs)

    @staticmethod
    def _key(name: str) -> str:
        return name

    def __getitem__(self, name: str) -> str:
        return self._values[self._key(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._key(name) in self._values

    def getlist(self, name: str) -> list[str]:
        """All values of the name; none: an empty list."""
        key = self._key(name)
        return [value for given, value in self._pairs if given == key]

    def multi_items(self) -> list[tuple[str, str]]:
        """All pairs."""
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"


class Headers(MultiDict):
    """A request's headers; the case of a name means nothing (RFC 9110 5.1)."""

    __slots__ = ()

    @staticmethod
    def _key(name: str) -> str:
        return name.lower()


class ConnectionScope:
    """Properties of the scope ``self.scope``."""

    __slots__ = ("_cookies", "_headers", "_query_params", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._headers: Headers | None = None
        self._query_params: MultiDict | None = None
        self._cookies: dict[str, str] | None = None

    @property
    def headers(self) -> Headers:
        """The request's headers, as Latin-1."""
        if self._headers is None:
            self._headers = Headers(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in self.scope["headers"]
            )
        return self._headers

    @property
    def path_params(self) -> dict[str, Any]:
        """What the router found in the path."""
        params: dict[str, Any] = self.scope.get("path_params") or {}
        return params

    @property
    def query_params(self) -> MultiDict:
        """The query's parameters, decoded, those without a value among them."""
        if self._query_params is None:
            text = self.scope.get("query_string", b"").decode("latin-1")
            self._query_params = MultiDict(parse_qsl(text, keep_blank_values=True))
        return self._query_params

    @property
    def client(self) -> Address | None:
        """The client's address; ``None`` where there is none, as on a Unix socket."""
        address = self.scope.get("client")
        return Address(*address) if address else None

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies (RFC 6265 5.4), quotes around a value taken off."""
        if self._cookies is None:
            pairs = (
                pair.partition("=") for line in self.headers.getlist("cookie") for pair in line.split(";")
            )
            self._cookies = {
                name.strip(): _unquoted(value.strip())
                for name, equals, value in pairs
                if equals and name.strip()
            }
        return self._cookies

    @property
    def url(self) -> str:
        """The request's URL, as the client must have asked for it."""
        host = self.headers.get("host")
        server = self.scope.get("server")
        if host is None and server is not None:
            host = server[0] if server[1] is None else f"{server[0]}:{server[1]}"
        path = quote(self.scope.get("path", ""), safe="/:@!$&'()*+,;=-._~")
        query = self.scope.get("query_string", b"").decode("latin-1")
        url = f"{self.scope.get('scheme', 'http')}://{host}{path}" if host else path
        return f"{url}?{query}" if query else url


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
