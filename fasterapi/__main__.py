"""``python -m fasterapi``."""

from fasterapi.cli import main

if __name__ == "__main__":
    main(prog_name="python -m fasterapi")
