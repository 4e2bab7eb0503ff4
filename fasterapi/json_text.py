"""Values to JSON text and back (RFC 8259): by orjson where it is installed, else by the standard library.

Both give the same. What orjson refuses, the standard library decides; what orjson would do otherwise is not left to
it. Only a small or large float may be spelt differently (``1e-7``, ``1e-07``), which is the same number.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import re
import uuid
from typing import Any, NoReturn

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment,unused-ignore]


def dumps(value: object) -> str:
    """The value as compact JSON text, not only ASCII.

    Besides what ``json`` takes: enumerations (their value), ``UUID``, ``datetime``, ``date``, ``time`` (ISO 8601) and
    dataclasses (an object of their fields). A float that is no number (RFC 8259 section 6) becomes ``null``, as in
    JavaScript; half of a surrogate pair is escaped, since it has no UTF-8.

    Raises:
        TypeError: something in it is none of these, or contains itself, or is nested too deeply.
    """
    if orjson is not None:
        try:
            return orjson.dumps(value, _plain, _ORJSON_OPTIONS).decode()
        except TypeError:
            pass
    try:
        text = _encode_finite(value)
    except (ValueError, RecursionError) as error:
        raise TypeError(f"cannot be written as JSON: {error}") from None
    return text if _has_utf8(text) else _encode_ascii(text)


def loads(text: str | bytes) -> Any:
    """The value of one JSON text; bytes are UTF-8 (RFC 8259 section 8.1). Integers have any size.

    Raises:
        json.JSONDecodeError: it is not JSON: ``NaN`` is not either.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise json.JSONDecodeError(str(error), "", error.start) from None
    if orjson is not None and not _has_long_number(text):
        try:
            return orjson.loads(text)
        except ValueError:
            pass
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:  # a number with thousands of digits; too deep
        raise json.JSONDecodeError(str(error), text, 0) from None


def _plain(value: object) -> object:
    """A value that JSON has no type for, as one that it has."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _refuse(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


_FORM: dict[str, Any] = {"separators": (",", ":"), "default": _plain}
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, **_FORM)
_ENCODER_OF_ALL = json.JSONEncoder(ensure_ascii=False, **_FORM)
_ENCODER_OF_ASCII = json.JSONEncoder(**_FORM)
_DECODER = json.JSONDecoder(parse_constant=_refuse)
# What orjson would write in its own way goes through _plain(); subclasses to the standard library.
_ORJSON_OPTIONS = (
    0
    if orjson is None
    else orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
)
# Nineteen digits may be more than 64 bits, and orjson would make a float of them. Three of any nineteen
# characters in a row are among every sixth of the text, which is quicker to search.
_THREE_DIGITS = re.compile("[0-9]{3}")
_NINETEEN_DIGITS = re.compile("[0-9]{19}")


def _has_long_number(text: str) -> bool:
    return _THREE_DIGITS.search(text[::6]) is not None and _NINETEEN_DIGITS.search(text) is not None


def _encode_finite(value: object) -> str:
    try:
        return _ENCODER.encode(value)
    except ValueError:  # infinite, or no number: written, and read back as null
        text = _ENCODER_OF_ALL.encode(value)
        return _ENCODER.encode(json.loads(text, parse_constant=lambda _: None))


def _has_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode_ascii(text: str) -> str:
    return _ENCODER_OF_ASCII.encode(json.loads(text))
