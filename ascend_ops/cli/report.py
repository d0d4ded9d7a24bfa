"""``ascend-ops report``: the state of every op, the versions, the paths, the variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from op_builder import envs
from op_builder.builder import OpBuilder
from op_builder.errors import EnvironmentVariableError
from op_builder.registry import ALL_OPS, all_builders
from op_builder.report import inspection
from op_builder.version import __version__

from . import npu_report
from .output import JsonFlag, console, print_json, print_table


def report(
    env: Annotated[
        bool, typer.Option("--env", help="List every environment variable that is read.")
    ] = False,
    npu: Annotated[
        bool,
        typer.Option(
            "--npu",
            help="Show which aclnn function of this NPU's CANN computes each op, and why no newer "
            "one. Imports torch_npu, uses the device, and builds what no cache has.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Show which ops can be used here, and why the others cannot.

    Without --npu it imports neither torch nor torch_npu and touches no device.
    """
    if env and npu:
        raise typer.BadParameter("--env and --npu are two reports: give one of them")
    view: tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], None]] = (
        (npu_report.state, npu_report.show)
        if npu
        else (_variables, _show_variables)
        if env
        else (_state, _show)
    )
    content = view[0]()
    if json:
        print_json(content)
    else:
        view[1](content)


def _state() -> dict[str, Any]:
    builders: list[OpBuilder] = [cls() for cls in all_builders().values()]
    toolchain = builders[0].toolchain()
    return {
        "ascend_ops": __version__,
        "ops": [inspection.op_state(builder) for builder in builders],
        "components": inspection.components(toolchain),
        "findings": inspection.version_findings(toolchain),
        "places": inspection.places(toolchain.environ, ALL_OPS[0]().prebuilt_dir()),
    }


def _show(content: dict[str, Any]) -> None:
    out = console()
    out.print(f"ascend_ops {content['ascend_ops']}\n")
    ops = [(op.op, op.state, op.origin, str(op.library or "")) for op in content["ops"]]
    print_table("Ops", ("op", "state", "declared in", "library"), ops)
    for op in content["ops"]:
        for reason in op.reasons:
            out.print(f"  {op.op}: {reason}")
    out.print("  Which aclnn function each op of the NPU uses: ascend-ops report --npu")
    parts = [(part.name, part.version or "-", part.detail) for part in content["components"]]
    print_table("\nVersions", ("what", "version", "where"), parts)
    for finding in content["findings"]:
        out.print(f"  {finding.severity}: {finding.message}")
    places = [(place.name, place.state, str(place.path)) for place in content["places"]]
    print_table("\nPlaces, in the order they are asked", ("what", "state", "path"), places)


def _variables() -> dict[str, Any]:
    switches = [envs.build_switch(cls.BUILD_VAR) for cls in all_builders().values()]
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
            for variable in [*envs.all_variables(), *switches]
        ]
    }


def _problem(variable: envs.Variable[Any]) -> str | None:
    """Why its value cannot be used."""
    try:
        variable.get()
    except EnvironmentVariableError as error:
        return str(error)
    return None


def _show_variables(content: dict[str, Any]) -> None:
    rows = [
        (row["name"], row["value"] or "-", row["default"] or "-", row["description"])
        for row in content["variables"]
    ]
    print_table("Environment variables", ("name", "value", "default", "what it does"), rows)
    for row in content["variables"]:
        if row["problem"]:
            console().print(f"  error: {row['problem']}")
