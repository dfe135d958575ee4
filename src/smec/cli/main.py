"""The program ``smec``: its commands, its exit codes, and errors on one line."""

from __future__ import annotations

import errno
import os
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from smec import __version__
from smec.errors import PeerError, SmecError

COMMANDS = (
    "demo",
    "embed",
    "judge",
    "train",
    "extend",
    "adapt",
    "calibrate",
    "compress",
    "export",
    "migrate",
    "feedback",
    "serve",
    "evaluate",
    "report",
    "inspect",
    "verify",
    "canaries",
)
"""Names of the commands, each that of a module here and of its function; imported when it is asked for."""

INTERRUPTED = 130
HINTS = {
    "train": "; continue with --resume",
    "compress": "; a folder of shards continues with --resume",
    "embed": "; the same command goes on where it stopped",
    "judge": "; the same command goes on where it stopped",
    "feedback": "; the same command finishes it",
    "migrate": "; continue with --resume",
}


class _Program(TyperGroup):
    """Imports the command that is asked for, and turns what it raises into one line and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # For an unknown name all of them: the message names those that are spelled nearly so.
        for name in [cmd_name] if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.commands[name] = command(name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PeerError as error:
            if error.told:
                raise typer.Exit(error.exit_code) from error
            raise _failure(f"smec: error: {error}", error.exit_code) from error
        except SmecError as error:
            raise _failure(f"smec: error: {error}", error.exit_code) from error
        except KeyboardInterrupt as error:
            message = f"interrupted{HINTS.get(ctx.invoked_subcommand, '')}"
            raise _failure(message, INTERRUPTED) from error
        except MemoryError as error:
            raise _failure("smec: error: out of memory", SmecError.exit_code) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # typer ends quietly
                raise
            raise _failure(f"smec: error: {error}", SmecError.exit_code) from error


def _failure(message: str, exit_code: int) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(exit_code)


PLAIN: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,  # plain help and usage errors: nothing is boxed or cut to a width
}

app = typer.Typer(name="smec", cls=_Program, no_args_is_help=True, **PLAIN)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"smec {__version__}")
        raise typer.Exit


@app.callback()
def _smec(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Make the embeddings you already have 8-32x smaller, and retrieve as well or better.

    Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 2 unusable input or
    output or a failed check, 3 a size fell back under --strict, 4 some shards are missing,
    130 interrupted.
    """


def command(name: str) -> Any:
    """One of `COMMANDS`, as click's command."""
    program = typer.Typer(**PLAIN)
    program.command()(getattr(import_module(f"smec.cli.{name}"), name))
    return typer.main.get_command(program)


def main() -> None:
    """Run the program; the console script ``smec``."""
    # OpenMP threads that spin for long make training several times slower on a busy machine; where they do
    # not spin at all, waking them for each of many small products makes it half as fast on an idle one.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # To look for plugins, pydantic reads the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    app(prog_name="smec")
