"""The program ``smec``: its commands, its exit codes, and errors on one line."""

from __future__ import annotations

import errno
import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from smec import __version__
from smec.cli.adapt import adapt
from smec.cli.calibrate import calibrate
from smec.cli.canaries import canaries
from smec.cli.compress import compress
from smec.cli.demo import demo
from smec.cli.embed import embed
from smec.cli.evaluate import evaluate
from smec.cli.export import export
from smec.cli.extend import extend
from smec.cli.feedback import feedback
from smec.cli.inspect import inspect
from smec.cli.judge import judge
from smec.cli.migrate import migrate
from smec.cli.report import report
from smec.cli.serve import serve
from smec.cli.train import train
from smec.cli.verify import verify
from smec.errors import PeerError, SmecError

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
    """Turns what a command raises into one line on stderr and an exit code."""

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


app = typer.Typer(
    name="smec",
    cls=_Program,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help and usage errors: nothing is boxed or cut to a width
)


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


for _command in (
    demo,
    embed,
    judge,
    train,
    extend,
    adapt,
    calibrate,
    compress,
    export,
    migrate,
    feedback,
    serve,
    evaluate,
    report,
    inspect,
    verify,
    canaries,
):
    app.command()(_command)


def main() -> None:
    """Run the program; the console script ``smec``."""
    # OpenMP threads that spin while they wait make training several times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(prog_name="smec")
