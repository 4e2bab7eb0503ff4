"""Which peers are proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""

import ipaddress
import logging
import os
from collections.abc import Iterable

LOOPBACK = "127.0.0.1,::1"

logger = logging.getLogger("fasterapi.error")


def default_allow_ips() -> str:
    """``FORWARDED_ALLOW_IPS``, which platforms set for every server, else the loopback addresses."""
    return os.environ.get("FORWARDED_ALLOW_IPS", LOOPBACK)


def trusted(allow_ips: str | Iterable[str]) -> list[str]:
    """The addresses and networks in ``allow_ips``, comma-separated or a list; or ``["*"]`` for every peer.

    Logs a warning for each entry that is none: uvicorn takes these for literals, which no peer's address equals.
    """
    given = allow_ips.split(",") if isinstance(allow_ips, str) else allow_ips
    entries = [entry.strip() for entry in given if entry.strip()]
    if "*" in entries:
        return ["*"]
    networks = []
    for entry in entries:
        try:
            if "%" in entry:
                raise ValueError(f"{entry!r} is an address of one zone")
            networks.append(str(ipaddress.ip_network(entry)))
        except ValueError as error:
            logger.warning("forwarded_allow_ips: %s, so nobody is trusted for it.", error)
    return networks
