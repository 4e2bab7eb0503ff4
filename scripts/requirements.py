"""Prints the requirements of the package and of the extras named on the command line, one a line.

pyproject.toml stays the only list, and pip can install them without building the package.
"""

import pathlib
import sys

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    from pip._vendor import tomli as tomllib

PROJECT = pathlib.Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(extras: list[str]) -> list[str]:
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]

    def expand(requirement: str) -> list[str]:
        """An extra may name others of ours: ``fasterapi[one,two]``."""
        if not requirement.startswith(f"{project['name']}["):
            return [requirement]
        names = requirement.partition("[")[2].rstrip("]").split(",")
        return [
            inner
            for name in names
            for each in project["optional-dependencies"][name]
            for inner in expand(each)
        ]

    wanted = [*project["dependencies"], *(f"{project['name']}[{extra}]" for extra in extras)]
    return list(dict.fromkeys(inner for requirement in wanted for inner in expand(requirement)))


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
