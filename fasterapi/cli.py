"""The command line: ``fasterapi run TARGET``, or ``fasterapi TARGET`` as one would type uvicorn's.

The options, their types and defaults stand in ``options``; what they mean, in ``config``.
"""

import difflib
import importlib.util
import logging
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any

import click

from fasterapi import discover
from fasterapi.config import LOGGING_CONFIG, STARTUP_FAILURE, Config, UnsupportedOption
from fasterapi.entry import leave, serve
from fasterapi.options import GroupedCommand, serving_options
from fasterapi.version import __version__

logger = logging.getLogger("fasterapi.error")


class DefaultsToRun(click.Group):
    """Runs ``run`` unless another command is named, and says what is wrong in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and (not args or args[0] not in (*self.commands, "--help", "--version")):
            self._refuse_mistyped(ctx, args)
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def _refuse_mistyped(self, ctx: click.Context, args: list[str]) -> None:
        """``fasterapi rnu app:app`` means a command; ``fasterapi main`` means a module."""
        if len(args) < 2 or args[1].startswith("-") or not args[0].isidentifier():
            return
        similar = difflib.get_close_matches(args[0], self.commands)
        if similar and importlib.util.find_spec(args[0]) is None:
            raise click.UsageError(f"No such command '{args[0]}'. Did you mean '{similar[0]}'?", ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, False, **extra)
        except click.ClickException as error:
            click.echo(f"Error: {error.format_message()}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        python = f"{platform.python_implementation()} {platform.python_version()}"
        click.echo(f"Running fasterapi {__version__} with {python} on {platform.system()}")
        ctx.exit()


_version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the versions of fasterapi and Python, and exit.",
)


@click.group(cls=DefaultsToRun)
@_version_option
def main() -> None:
    """fasterapi: a native ASGI server.

    `fasterapi TARGET` is short for `fasterapi run TARGET`, and `fasterapi` alone for `fasterapi run`, which
    serves what it finds here; `fasterapi run --help` lists the options.
    """


@main.command("run", cls=GroupedCommand)
@click.argument("target", required=False, envvar="FASTERAPI_APP")
@serving_options
@_version_option
@click.pass_context
def run_command(ctx: click.Context, /, target: str | None, app_dir: str, **options: Any) -> None:
    """Serve an ASGI application.

    TARGET is module:attribute, a module, a file or a directory. Without it, main.py, app.py and
    api.py are looked for here and in app/. Where no attribute is given, the object named app, then
    api, then any FastAPI, Starlette or fasterapi.App instance is served. [env var: FASTERAPI_APP]
    """
    config = _make_config(ctx, options)
    if app_dir and not os.path.isdir(app_dir):
        raise click.BadParameter(f"There is no directory {app_dir!r}.", ctx, param_hint="--app-dir")
    try:
        location = discover.locate(target, app_dir)
    except discover.NotFound as error:
        if not target:
            raise click.UsageError(str(error), ctx) from None
        logger.error("Error loading ASGI app. %s", error)
        sys.exit(STARTUP_FAILURE)
    for directory in dict.fromkeys((app_dir, location.directory)):
        sys.path.insert(0, directory)
    config.app = location.import_string
    if (server := serve(config)) is not None:
        leave(server)


def _make_config(ctx: click.Context, options: dict[str, Any]) -> Config:
    try:
        if options["log_config"] is None:
            options["log_config"] = LOGGING_CONFIG
        return Config("", **options)
    except UnsupportedOption as error:
        flag = next(param.opts[0] for param in ctx.command.params if param.name == error.option)
        value = "" if isinstance(error.value, (bool, list, tuple)) else f" {error.value}"
        raise click.UsageError(
            f"{flag}{value} is not available in fasterapi {__version__}: only {error.available}.", ctx
        ) from None
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from None
