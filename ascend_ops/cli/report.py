"""``ascend-ops report``: the state of every op, versions, cache locations, variables."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from op_builder import envs
from op_builder.builder import OpBuilder
from op_builder.errors import EnvironmentVariableError
from op_builder.ops.emulator import EMULATOR_LIBRARIES
from op_builder.registry import ALL_OPS, all_builders
from op_builder.report import inspection
from op_builder.version import __version__

from . import npu_report
from .output import JsonFlag, print_json, print_table, print_text

_EMULATOR = {cls.NAME for cls in EMULATOR_LIBRARIES}
_LONGEST_VALUE = 20


def report(
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="List each library of the emulated NPU, and the path of every library."
        ),
    ] = False,
    env: Annotated[
        bool, typer.Option("--env", help="List every environment variable that is read.")
    ] = False,
    npu: Annotated[
        bool,
        typer.Option(
            "--npu",
            help="Show which aclnn function of this NPU's CANN computes each op, and why no newer "
            "one. Imports torch_npu, uses the device, and builds ops that are not cached.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Show which ops can be used on this machine, and why the others cannot.

    Without --npu it imports neither torch nor torch_npu and uses no device.
    """
    if every + env + npu > 1:
        raise typer.BadParameter("--all, --env and --npu are different reports; give one of them")
    if npu:
        _print(npu_report.state(), npu_report.show, json)
    elif env:
        _print(_variables(), _show_variables, json)
    else:
        _print(state(), partial(_show, every=every), json)


def _print(content: dict[str, Any], show: Callable[[dict[str, Any]], None], json: bool) -> None:
    if json:
        print_json(content)
    else:
        show(content)


def state() -> dict[str, Any]:
    """Return what the report without options shows."""
    builders: list[OpBuilder] = [cls() for cls in all_builders().values()]
    toolchain = builders[0].toolchain()
    return {
        "ascend_ops": __version__,
        "ops": [inspection.op_state(builder) for builder in builders],
        "components": inspection.components(toolchain),
        "findings": inspection.version_findings(toolchain),
        "places": inspection.places(toolchain.environ, ALL_OPS[0]().prebuilt_dir()),
    }


def _show(content: dict[str, Any], every: bool) -> None:
    print_text(f"ascend_ops {content['ascend_ops']}")
    print_text()
    ops: list[inspection.OpState] = content["ops"]
    if every:
        rows = [(op.op, op.state, op.origin, op.library or "") for op in ops]
        print_table("Ops", ("op", "state", "declared in", "library"), rows)
    else:
        print_table("Ops", ("op", "state", "declared in"), _summary(ops))
    for reason, names in _reasons(ops, every).items():
        print_text(f"{', '.join(names)}:", reason, indent=2)
    print_text(
        "`ascend-ops report --npu` shows which aclnn function computes each NPU op.", indent=2
    )
    print_text()
    parts = [_version_row(part) for part in content["components"]]
    print_table("Versions", ("what", "version", "where"), parts)
    for finding in content["findings"]:
        print_text(f"{finding.severity}:", finding.message, indent=2)
    if content["findings"]:
        print_text("`ascend-ops doctor` checks the whole setup.", indent=2)
    print_text()
    places = [(place.name, place.state, place.path) for place in content["places"]]
    print_table("Cache locations, in search order", ("what", "state", "path"), places)


def _summary(ops: list[inspection.OpState]) -> list[tuple[str, str, str]]:
    """One row per op, and one for all libraries of the emulated NPU."""
    emulator = [op for op in ops if op.op in _EMULATOR]
    rows = [(op.op, op.state, op.origin) for op in ops if op.op not in _EMULATOR]
    if emulator:
        states = Counter(op.state for op in emulator)
        counted = ", ".join(f"{count} {state}" for state, count in states.items())
        state = counted if len(states) > 1 else emulator[0].state
        rows.append((f"emulator ({len(emulator)} libraries)", state, emulator[0].origin))
    return rows


def _reasons(ops: list[inspection.OpState], every: bool) -> dict[str, list[str]]:
    """Each reason why an op is not available, or not found in the cache, and the ops."""
    found: dict[str, list[str]] = {}
    for op in ops:
        name = "emulator" if op.op in _EMULATOR and not every else op.op
        for reason in op.reasons:
            names = found.setdefault(reason, [])
            if name not in names:
                names.append(name)
    return found


def _version_row(part: inspection.Component) -> tuple[str, str, str]:
    where = "\n".join(["not found:", *part.looked_at]) if part.looked_at else part.detail
    return part.name, part.version or "-", where


def _variables() -> dict[str, Any]:
    switches = {cls.BUILD_VAR: envs.build_switch(cls.BUILD_VAR) for cls in all_builders().values()}
    return {
        "variables": [
            {
                "name": variable.name,
                "value": variable.raw() or None,
                "problem": _problem(variable),
                "default": None if variable.default in (None, "") else str(variable.default),
                "kind": variable.kind,
                "description": variable.description,
            }
            for variable in [*envs.all_variables(), *switches.values()]
        ]
    }


def _problem(variable: envs.Variable[Any]) -> str | None:
    """Return why its value cannot be used."""
    try:
        variable.get()
    except EnvironmentVariableError as error:
        return str(error)
    return None


def _show_variables(content: dict[str, Any]) -> None:
    rows = [_variable_row(row) for row in content["variables"]]
    print_table("Environment variables", ("name", "value", "default", "description"), rows)
    for row in content["variables"]:
        if row["problem"]:
            print_text("error:", row["problem"], indent=2)


def _variable_row(row: dict[str, Any]) -> tuple[str, str, str, str]:
    value, below = row["value"] or "-", [row["description"]]
    if len(value) > _LONGEST_VALUE:
        below += value.split(os.pathsep) if row["kind"] == "paths" else [value]
        value = "(below)"
    return row["name"], value, row["default"] or "-", "\n".join(below)
