"""Links the package's sources into a folder that holds an extension module of its own.

With that folder's parent on PYTHONPATH, one source tree serves the normal, the sanitized and the
optimised module, and none of them overwrites another.

usage: python scripts/link_package.py FOLDER
"""

import os
import pathlib
import sys

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "fasterapi"


def link(folder: pathlib.Path) -> None:
    wanted = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("_native.cpython")
    }
    for path in folder.rglob("*"):
        if path.is_symlink() and path.relative_to(folder) not in wanted:
            path.unlink()
    for name in wanted:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_symlink():
            os.symlink(PACKAGE / name, target)


if __name__ == "__main__":
    link(pathlib.Path(sys.argv[1]))
