"""Files for browsers, to be served as they are."""

from pathlib import Path

JAVASCRIPT = Path(__file__).with_name("fasterapi.js")
"""The ES module ``fasterapi.js``, of type ``text/javascript``: binary events and channels of server-sent events."""
