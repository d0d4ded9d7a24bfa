"""The program ``ascend-ops``: diagnose, report, build, manage the cache, emulate, measure."""

from __future__ import annotations

import logging
from typing import Annotated

import typer
from rich.logging import RichHandler

from op_builder import envs
from op_builder.errors import AscendOpsError
from op_builder.version import __version__

from . import bench, build, cache, doctor, emulate, report
from .output import errors, fail

app = typer.Typer(
    help="Build, inspect, cache and measure the fused ops of ascend_ops.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("doctor")(doctor.doctor)
app.command("report")(report.report)
app.command("build")(build.build)
app.command("emulate")(emulate.emulate)
app.add_typer(cache.app, name="cache")
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ascend_ops {__version__}")
        raise typer.Exit


@app.callback()
def main(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Log more; -vv also logs processes.")
    ] = 0,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Set up logging for all subcommands."""
    del version
    level = {0: envs.LOG_LEVEL.get(), 1: "INFO"}.get(verbose, "DEBUG")
    handler = RichHandler(console=errors(), show_path=False, show_time=False)
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])


def run() -> None:
    """Run the command line; print expected errors as messages, without a traceback."""
    try:
        app()
    except (AscendOpsError, OSError) as error:
        raise SystemExit(fail(str(error)).exit_code) from error


if __name__ == "__main__":
    run()
