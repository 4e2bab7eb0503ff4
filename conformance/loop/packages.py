"""Runs anyio's and aiohttp's own tests, from their sdists, on fasterapi's loop and on asyncio's.

What fails on ours alone, also when it is repeated by itself, must be in ``differences.py``, and whatever is
there must fail: the exit code is 1 otherwise. The sdists, and the packages that the tests need, are put below
build/conformance on the first run.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tarfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .differences import PACKAGES
from .follow import ROOT, Results, Tests, compare, conclude

HERE = ROOT / "build" / "conformance"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


@dataclass(frozen=True)
class Package:
    """An sdist, and how its tests are asked for: those that would say nothing of a loop are left out."""

    name: str
    version: str
    sha256: str
    pytest: tuple[str, ...]


ALL = {
    package.name: package
    for package in (
        Package(
            "anyio",
            "4.11.0",
            "82a8d0b81e318cc5ce71a5f1f8b5c4e63619620b63141ef8c995fa0db95a57c4",
            # trio and uvloop bring their own loops; "network" is the Internet.
            pytest=("-k", "not trio and not uvloop", "-m", "not network"),
        ),
        Package(
            "aiohttp",
            "3.13.2",
            "40176a52c186aefef6eb3cad2cdd30cd06e3afbe88fe8ab2af9c0b90f228daca",
            # Its addopts are coverage and several processes. Autobahn's tests need docker; those of circular
            # imports start an interpreter for each module. "Fast" is without a whole garbage collection
            # after each test.
            pytest=(
                *("-p", "pytest_mock", "-p", "pytest_codspeed.plugin"),
                *("-o", "addopts=", "-m", "not dev_mode", "--aiohttp-fast"),
                *("--ignore=tests/autobahn", "--ignore=tests/test_circular_imports.py"),
            ),
        ),
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.loop.packages", description=__doc__)
    parser.add_argument("packages", nargs="*", default=list(ALL), help=f"of {', '.join(ALL)}; default: all")
    parser.add_argument("--verbose", action="store_true", help="list also what is skipped or different")
    options = parser.parse_args()
    if unknown := [name for name in options.packages if name not in ALL]:
        parser.error(f"no such package here: {', '.join(unknown)}")
    print(f"Python {platform.python_version()}", flush=True)
    python = environment()
    total: Counter[str] = Counter()
    for name in options.packages:
        total += test_package(ALL[name], python, options.verbose)
    return conclude(total)


def test_package(package: Package, python: Path, verbose: bool) -> Counter[str]:
    plugins = ("-p", "conformance.loop.plugin", "-p", "no:cacheprovider", "-p", "no:faulthandler")
    tests = Tests(
        package.name,
        ["-m", "pytest", *plugins, *package.pytest, "--continue-on-collection-errors", "tests"],
        python=str(python),
        directory=unpacked(package, python),
    )
    with ThreadPoolExecutor() as pool:
        theirs, ours = pool.map(tests.run, ("asyncio", "fasterapi"))
    known = PACKAGES[package.name]
    alone = [name for name in failed(ours) if name not in known and name not in failed(theirs)]
    if alone:
        for name, result in tests.run("fasterapi", only=alone).items():
            ours[name]["passed_again"] = result["outcome"] == "passed"
    count = Counter(result["outcome"] for result in theirs.values())
    print(f"{package.name} on asyncio: " + ", ".join(f"{n} {what}" for what, n in count.items()), flush=True)
    print(f"  of which on asyncio alone: {len(failed(theirs) - failed(ours))} failed")
    return compare(package.name, ours, theirs, known, verbose)


def failed(results: Results) -> set[str]:
    return {name for name, result in results.items() if result["outcome"] == "failed"}


def environment() -> Path:
    """The interpreter of a virtual environment with what the tests need."""
    venv = HERE / f"packages-{platform.python_version()}"
    python = venv / "bin" / "python"
    stamp = venv / ".installed"
    wanted = REQUIREMENTS.read_text()
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    if not stamp.exists() or stamp.read_text() != wanted:
        pip(python, "install", "--requirement", str(REQUIREMENTS))
        stamp.write_text(wanted)
    return python


def unpacked(package: Package, python: Path) -> Path:
    """The folder with the sdist's tests and pytest's settings; the code tested is the one that is installed."""
    folder = HERE / "sdists" / f"{package.name}-{package.version}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        requirement = folder.with_name(f"{folder.name}.txt")
        requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
        # pip runs the sdist's build backend, which may come as a wheel, to read its metadata.
        only = ["--no-deps", "--no-binary", package.name, "--require-hashes", "--dest", str(folder.parent)]
        pip(python, "download", *only, "--requirement", str(requirement))
        with tarfile.open(f"{folder}.tar.gz") as archive:
            wanted = [f"{folder.name}/{part}" for part in ("tests/", "pyproject.toml", "setup.cfg")]
            members = [member for member in archive if member.name.startswith(tuple(wanted))]
            archive.extractall(folder.parent, members, filter="data")
    return folder


def pip(python: Path, command: str, *arguments: str) -> None:
    subprocess.run(
        [python, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments], check=True
    )


if __name__ == "__main__":
    sys.exit(main())
