"""From an import string to the application, and what is said when that fails.

Import strings are ``module:attribute``, with dots in either part; ``module`` alone means the
application found in it as ``discover`` describes.
"""

import importlib
import inspect
import logging
import os
import sys
from types import ModuleType, TracebackType
from typing import Any, NoReturn

from fasterapi import discover

STARTUP_FAILURE = 3
"""The exit code when the server could not come up: orchestrators tell it from a crash."""

logger = logging.getLogger("fasterapi.error")


class ImportFromStringError(Exception):
    """The module or the attribute does not exist, or the string names neither."""


def import_from_string(import_str: Any) -> Any:
    """The object that ``module:attribute`` names. What is not a string is returned as it is.

    Raises:
        ImportFromStringError: there is no such module or attribute.
        Exception: what the module itself raised while it was imported.
    """
    if not isinstance(import_str, str):
        return import_str
    module_name, _, attributes = import_str.partition(":")
    if not module_name or not attributes:
        raise ImportFromStringError(f'Import string "{import_str}" must be in format "<module>:<attribute>".')
    found: Any = _import_module(module_name)
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ImportFromStringError(
                f'Attribute "{attributes}" not found in module "{module_name}".'
            ) from None
    return found


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # "a.b" is missing when "a" is; anything else is missing inside the module that was found.
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise ImportFromStringError(f'Could not import module "{name}".') from None
    except (TypeError, ValueError):
        # What importlib raises for ".x" and the like, before any module has run.
        if name.startswith(".") or ".." in name or name.endswith("."):
            raise ImportFromStringError(f'Could not import module "{name}".') from None
        raise


def load_application(app: Any, *, factory: bool = False) -> Any:
    """Imports ``app`` if it is a string. A failure is logged, and ends the process with 3."""
    if not isinstance(app, str):
        return app
    try:
        if ":" in app or not app:
            return import_from_string(app)
        return _application_of(_import_module(app), factory=factory)
    except (ImportFromStringError, discover.NotFound) as error:
        logger.error("Error loading ASGI app. %s", error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        _log_user_error(f'Error loading ASGI app. Importing "{app}" failed.', error)
    sys.exit(STARTUP_FAILURE)


def _application_of(module: ModuleType, *, factory: bool) -> Any:
    """The application in a module. A package that has none itself may hold it in a module of a default name."""
    try:
        return getattr(module, discover.find_application(module, factory=factory))
    except discover.NotFound:
        inner = discover.default_module(module)
        if inner is None:
            raise
    module = _import_module(inner)
    return getattr(module, discover.find_application(module, factory=factory))


def refuse_uncallable(app: Any, name: Any) -> None:
    """What cannot be called is no application: logged, and ends the process with 3."""
    if callable(app):
        return
    what = f'"{name}"' if isinstance(name, str) else "The object"
    logger.error(
        "Error loading ASGI app. %s is of type %s, which cannot be called.", what, type(app).__name__
    )
    sys.exit(STARTUP_FAILURE)


def call_factory(app: Any, *, factory: bool) -> Any:
    """What the factory makes, or ``app`` itself where it is an application already.

    Without ``factory`` an object that can be called with nothing counts as a factory, with a
    warning. A factory that fails is logged, and ends the process with 3.
    """
    if not factory and not _looks_like_factory(app):
        return app
    try:
        made = app()
    except TypeError as error:
        if not factory:
            return app
        # Raised by the call itself: the trouble is the signature, and a traceback would show only us.
        if error.__traceback__ is None or error.__traceback__.tb_next is None:
            logger.error("Error loading ASGI app factory: %s", error)
            sys.exit(STARTUP_FAILURE)
        _fail_in_factory(error)
    except Exception as error:
        _fail_in_factory(error)
    if not factory:
        logger.warning(
            "ASGI app factory detected. Using it, but please consider setting the --factory flag explicitly."
        )
    return made


def _fail_in_factory(error: Exception) -> NoReturn:
    _log_user_error("Error loading ASGI app factory.", error)
    sys.exit(STARTUP_FAILURE)


def _looks_like_factory(app: Any) -> bool:
    """Callable with no arguments, and not a coroutine function: those take at least a scope."""
    try:
        call = app if inspect.isroutine(app) or inspect.isclass(app) else app.__call__
        if inspect.iscoroutinefunction(call):
            return False
        inspect.signature(app).bind()
    except Exception:  # an object may answer questions about itself with any error
        return False
    return True


def _log_user_error(message: str, error: BaseException) -> None:
    """Logs with the traceback of the user's own frames: ours and importlib's say nothing about the fault."""
    logger.error(message, exc_info=(type(error), error, _user_frames(error.__traceback__)))


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    package = os.path.dirname(__file__) + os.sep
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith(package) and "importlib" not in filename:
            return traceback
        traceback = traceback.tb_next
    return None
