"""``ascend-ops doctor``: what is wrong with this Ascend setup, and the commands that mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from op_builder.errors import AscendOpsError
from op_builder.version import __version__

from . import report as op_report
from .output import JsonFlag, fail, print_command, print_json, print_table, print_text, to_json

if TYPE_CHECKING:
    from ascend_ops.doctor import Finding, Report
    from ascend_ops.doctor.machine import Machine

_STYLES = {"broken": "bold red", "warning": "yellow", "note": "dim"}
_STATUS = {0: "nothing is wrong", 1: "usable, with warnings", 2: "broken"}


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write one Markdown file to attach to an issue. Secrets, home paths and the "
            "names of the user and the machine are removed; read it before you publish it.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also print everything that was found, not only findings.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(min=1.0, help="How many seconds each child process may take to answer."),
    ] = 20.0,
    json: JsonFlag = False,
) -> None:
    """Find out what is wrong with this machine's NPU, CANN, torch and compiler setup.

    Each finding states what is wrong, why it matters, and the command that mends it. It imports
    neither torch nor torch_npu; child processes do that, with a time limit.

    Exits with 0 if nothing is wrong, 1 with warnings, 2 if something is broken.
    """
    from ascend_ops.doctor import examine, this_machine

    if bundle is not None and bundle.exists():
        raise typer.BadParameter(f"the file of --bundle must not exist yet, got {bundle}")
    machine = this_machine(timeout)
    found = examine(machine)
    if bundle is not None:
        _write_bundle(bundle, machine, found)
    if json:
        print_json(_content(found))
    else:
        _show(found, every)
        if bundle is not None:
            print_text()
            print_text("wrote", bundle, "- read it before you publish it")
    raise typer.Exit(found.exit_code)


def _write_bundle(file: Path, machine: Machine, found: Report) -> None:
    from ascend_ops.doctor import bundle

    try:
        ops = to_json(op_report.state())
    except (AscendOpsError, OSError) as error:
        ops = f"ascend-ops report fails: {error}"
    try:
        bundle.write(file, bundle.render(machine, found, {"ascend-ops report --json": ops}))
    except OSError as error:
        raise fail(f"{file} cannot be written: {error}") from error


def _content(found: Report) -> dict[str, Any]:
    return {
        "ascend_ops": __version__,
        "status": _STATUS[found.exit_code],
        "exit_code": found.exit_code,
        "seconds": round(found.seconds, 3),
        "findings": found.findings,
        "facts": [
            {"family": each.family, "name": fact.name, "value": fact.value, "detail": fact.detail}
            for each in found.examinations
            for fact in each.facts
        ],
    }


def _show(found: Report, every: bool) -> None:
    print_text(f"ascend_ops {__version__}: {_STATUS[found.exit_code]}")
    for finding in found.findings:
        print_text()
        _show_finding(finding)
    print_text()
    _show_frameworks(found)
    if every:
        for each in found.examinations:
            rows = [(fact.name, "\n".join([fact.value, *fact.detail])) for fact in each.facts]
            if rows:
                print_text()
                print_table(each.family, ("what", "found"), rows)
    else:
        print_text("`ascend-ops doctor --all` prints everything that was found.")


def _show_finding(finding: Finding) -> None:
    severity = finding.severity.value
    print_text(f"{severity}:", finding.what, style=_STYLES[severity])
    print_text(finding.why, indent=2)
    for remedy in finding.remedies:
        print_command(remedy.command, remedy.when, indent=4)


def _show_frameworks(found: Report) -> None:
    """Print what each framework decides, which is wanted even if they agree."""
    facts = [
        fact for each in found.examinations if each.family == "frameworks" for fact in each.facts
    ]
    if facts:
        rows = [(fact.name, fact.value, "\n".join(fact.detail)) for fact in facts]
        print_table("What frameworks decide", ("framework", "device", "by"), rows)
        print_text()
