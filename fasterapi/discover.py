"""From what the user typed to an import string, as the FastAPI CLI does it.

A target is ``module:attribute``, ``module``, ``path/to/file.py``, ``path/to/file.py:attribute``, a
directory, or nothing at all.
"""

import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

DEFAULT_FILES = ("main.py", "app.py", "api.py", "app/main.py", "app/app.py", "app/api.py")
APPLICATION_NAMES = ("app", "api")
FACTORY_NAMES = ("create_app", "make_app", *APPLICATION_NAMES)


class NotFound(Exception):
    """There is no file to serve, or no application in the module."""


class Location(NamedTuple):
    """Where an application lies."""

    import_string: str
    """``module:attribute``, or ``module`` alone where the attribute is still to be found."""
    directory: str
    """What must come first on ``sys.path`` for it."""


def _exists(path: Path) -> bool:
    """Unlike ``Path.exists()``, which from Python 3.14 on is silent about them, raises ``OSError`` and
    ``ValueError`` for what can be no path."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def locate(target: str | None, app_dir: str = "") -> Location:
    """Turns a target into an import string, without importing anything.

    Raises ``NotFound`` for a file that does not exist and for a directory with nothing to serve.
    """
    if not target:
        return _location_of_file(_default_file(Path(app_dir)), "")
    place, _, attribute = target.partition(":")
    if not place:
        return Location(target, app_dir)  # refused where import strings are read
    path = Path(place)
    try:
        if not _exists(path):
            path = Path(app_dir, place)
            _exists(path)
    except (OSError, ValueError) as error:
        raise NotFound(f'"{place[:40]}..." is no name of a file or module: {error.args[-1]}.') from None
    if place.endswith(".py"):
        if not path.is_file():
            raise NotFound(f'File "{place}" does not exist.')
        return _location_of_file(path, attribute)
    is_path = os.sep in place or place in (os.curdir, os.pardir)
    if is_path and not path.is_dir():
        raise NotFound(f'Directory "{place}" does not exist.')
    if is_path or (path.is_dir() and _only_directory(path)):
        return _location_of_file(_default_file(path), attribute)
    return Location(target, app_dir)


def _only_directory(path: Path) -> bool:
    """Whether the name means the directory: no package, and no module of the same name."""
    return not (path / "__init__.py").is_file() and not path.with_suffix(".py").is_file()


def _default_file(directory: Path) -> Path:
    # A package given by its directory speaks for itself in __init__.py only if it holds none of these.
    names = [*DEFAULT_FILES, "__init__.py"] if directory.name else DEFAULT_FILES
    for name in names:
        if (directory / name).is_file():
            return directory / name
    where = f' in "{directory}"' if directory.name else ""
    *most, last = DEFAULT_FILES
    raise NotFound(f"No application given, and no {', '.join(most)} or {last}{where}.")


def _location_of_file(path: Path, attribute: str) -> Location:
    path = path.resolve()
    module_path = path.parent if path.name == "__init__.py" else path.with_suffix("")
    parts = [module_path.name]
    root = module_path.parent
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    for part in parts:
        if "." in part or ":" in part:
            raise NotFound(f'File "{path}" cannot be imported: "{part}" is no name for a module.')
    _refuse_shadowed(parts[0], root, path)
    module = ".".join(parts)
    return Location(f"{module}:{attribute}" if attribute else module, str(root))


def _refuse_shadowed(name: str, root: Path, path: Path) -> None:
    """A file named like a module that is loaded already would never be the one imported."""
    loaded = sys.modules.get(name)
    if loaded is None and name not in sys.builtin_module_names:
        return
    origin = getattr(loaded, "__file__", None)
    if origin is None or not Path(origin).resolve().is_relative_to(root):
        raise NotFound(f'File "{path}" cannot be imported: Python already has a module "{name}".')


def default_module(package: ModuleType) -> str | None:
    """The name of the first of ``DEFAULT_FILES`` in a package; None for a module that is none, or has none."""
    for directory in getattr(package, "__path__", ()):
        for name in DEFAULT_FILES:
            if Path(directory, name).is_file():
                return ".".join((package.__name__, *Path(name).with_suffix("").parts))
    return None


def find_application(module: ModuleType, *, factory: bool = False) -> str:
    """The name of the application in ``module``, or of its factory.

    First ``app`` and ``api`` if they are ASGI applications, then any FastAPI, Starlette or
    ``fasterapi.App`` instance, then ``app`` and ``api`` if they can be called at all. Raises ``NotFound``.
    """
    names = vars(module)
    if factory:
        for name in FACTORY_NAMES:
            if callable(names.get(name)):
                return name
        raise NotFound(f'No application factory found in module "{module.__name__}".')
    for name in APPLICATION_NAMES:
        if _is_application(names.get(name)):
            return name
    for name in sorted(names):
        if _is_framework_instance(names[name]):
            return name
    for name in APPLICATION_NAMES:
        if callable(names.get(name)):
            return name
    raise NotFound(
        f'No application found in module "{module.__name__}": it has no "app" or "api", '
        "and no FastAPI, Starlette or fasterapi.App instance."
    )


def _is_application(value: Any) -> bool:
    if _is_framework_instance(value):
        return True
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(type(value).__call__)


def _is_framework_instance(value: Any) -> bool:
    """By name, because no framework need be installed."""
    frameworks = {("FastAPI", "fastapi"), ("Starlette", "starlette"), ("App", "fasterapi")}
    return any(
        (base.__name__, base.__module__.partition(".")[0]) in frameworks for base in type(value).__mro__
    )
