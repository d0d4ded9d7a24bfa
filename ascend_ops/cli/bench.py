"""``ascend-ops bench``: compare ops with other implementations and the machine's limit."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.measure import Measurement

from .output import console, errors, fail

app = typer.Typer(help="Compare ops with other implementations, in one run.", no_args_is_help=True)

_PACKAGE = "ascend_ops.benchmarks"
_MAX_WIDTH = 500
_NO_NPU = "To use an emulated one: `ascend-ops bench npu --emulated`"


@app.callback()
def bench() -> None:
    """Compare ops with other implementations, in one run."""


JsonOption = Annotated[
    Path | None,
    typer.Option("--json", help="Write the records to this file, or - for standard output."),
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", help="Draw plots into this folder; requires matplotlib.")
]
QuickOption = Annotated[
    bool,
    typer.Option(
        "--quick", help="Only check that everything works, on small sizes and without DeepSpeed."
    ),
]
CaseOption = Annotated[
    list[str] | None,
    typer.Option("--case", help="Measure only these cases, by name or pattern; repeatable."),
]


@app.command("adam")
def adam(
    json: JsonOption = None,
    plot: PlotOption = None,
    quick: QuickOption = False,
    case: CaseOption = None,
) -> None:
    """Compare CPUAdam with torch, DeepSpeed and the memory limit; measure its loading."""
    _bench("adam", json, plot, quick, case or [])


@app.command("optimizers")
def optimizers(
    json: JsonOption = None,
    plot: PlotOption = None,
    quick: QuickOption = False,
    case: CaseOption = None,
) -> None:
    """Compare steps of all optimizers with others and the memory limit."""
    _bench("optimizers", json, plot, quick, case or [])


@app.command("npu")
def npu(
    emulated: Annotated[
        bool,
        typer.Option(
            "--emulated", help="Use the emulated NPU: host time only, not a device's speed."
        ),
    ] = False,
    json: JsonOption = None,
    plot: PlotOption = None,
    quick: QuickOption = False,
    case: CaseOption = None,
) -> None:
    """Compare the host time of NPU ops with torch_npu's functions; measure the ops' build."""
    if emulated:
        from ascend_ops.emulator import activate

        activate()
    _find_npu()
    _bench("npu", json, plot, quick, case or [])


@app.command("emulator")
def emulator(
    json: JsonOption = None,
    plot: PlotOption = None,
    quick: QuickOption = False,
    case: CaseOption = None,
) -> None:
    """Measure the emulated NPU: build, start, one op, and a training step."""
    from ascend_ops.emulator import activate

    activate(op_threads=1)
    _find_npu()
    _bench("emulator", json, plot, quick, case or [])


def _find_npu() -> None:
    try:
        importlib.import_module("torch_npu")
        devices = importlib.import_module("torch").npu.device_count()
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise fail(f"torch_npu cannot be imported: {reason}. {_NO_NPU}") from error
    if devices == 0:
        raise fail(f"torch_npu finds no NPU. {_NO_NPU}")


def _bench(name: str, json: Path | None, plot: Path | None, quick: bool, case: list[str]) -> None:
    _benchmarks("peers").keep_deepspeeds_ops()
    cases = _benchmarks("cases")
    everything = cases.BENCHES[name](quick)
    try:
        chosen = cases.select(everything, case)
    except KeyError as error:
        known = ", ".join(cases.selectors(everything))
        raise typer.BadParameter(f"unknown case {error}; available cases: {known}") from error
    _prepare(json, plot)
    with _progress() as listener:
        try:
            report = _benchmarks("run").run(name, chosen, quick, listener)
        except _benchmarks("implementation").DisagreementError as error:
            raise fail(str(error)) from error
    written = _write(report.to_json(), json)
    if plot is not None:
        written += _benchmarks("plots").draw(report, plot)
    out = errors() if json == Path("-") else console()
    table = _benchmarks("tables").render(report)
    wide = out.options.update(width=_MAX_WIDTH)
    out.width = max(
        out.width, Measurement.get(out, wide, table).maximum
    )  # no figure may be cut off
    out.print(table)
    for path in written:
        out.print(f"wrote {path}")


def _benchmarks(module: str) -> ModuleType:
    """Return a module of the benchmarks, which are inside ascend_ops or, in a checkout, beside it.

    In a checkout they are imported under their installed name, since the environment may contain
    another package named ``benchmarks``.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        init = Path(__file__).resolve().parents[2] / "benchmarks" / "__init__.py"
        spec = importlib.util.spec_from_file_location(
            _PACKAGE, init, submodule_search_locations=[str(init.parent)]
        )
        if not init.is_file() or spec is None or spec.loader is None:
            raise fail(f"the benchmarks are missing: found neither {_PACKAGE} nor {init.parent}")
        package = importlib.util.module_from_spec(spec)
        sys.modules[_PACKAGE] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{_PACKAGE}.{module}")


def _prepare(json: Path | None, plot: Path | None) -> None:
    """Check before minutes of measurement that everything needed is available."""
    try:
        importlib.import_module("torch")
    except (ImportError, OSError, RuntimeError) as error:
        raise fail(f"torch cannot be imported: {error}") from error
    try:
        if json is not None and json != Path("-"):
            json.parent.mkdir(parents=True, exist_ok=True)
            json.touch()
        if plot is not None:
            plot.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fail(f"cannot be written: {error}") from error
    if plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise fail("--plot requires matplotlib: pip install 'ascend_ops[bench]'")


def _write(text: str, target: Path | None) -> list[Path]:
    if target is None:
        return []
    if target == Path("-"):
        sys.stdout.write(text)
        return []
    target.write_text(text, encoding="utf-8")
    return [target]


@contextmanager
def _progress() -> Iterator[Any]:
    """Show a progress bar per case on standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[contender]}"),
    )
    with Progress(*columns, console=errors(), transient=True, refresh_per_second=2) as bars:

        class Bars:
            """One bar, which is reset for each case."""

            def __init__(self) -> None:
                self.task = bars.add_task("", contender="")

            def begin(self, case: Any, samples: int) -> None:
                bars.reset(self.task, total=samples, description=case.name, contender="warming up")

            def sampled(self, name: str) -> None:
                bars.update(self.task, advance=1, contender=name)

        yield Bars()
