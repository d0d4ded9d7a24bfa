"""``ascend-ops bench``: compare ops with other implementations and the machine's limit."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement

from .output import console, errors, fail

app = typer.Typer(help="Compare ops with other implementations, in one run.", no_args_is_help=True)

_PACKAGE = "ascend_ops.benchmarks"
#: What ``bench all`` runs: the benches, and their cases if not all. It measures no case twice.
_ALL = {
    "optimizers": None,
    "adam": ["fp32", "bf16*", "fp16", "many-tensors", "sizes"],
    "cache": None,
    "build": None,
    "npu": ["rms-norm", "flash-attention", "fused-adamw*"],
    "emulator": ["add", "training-step", "start-emulator"],
    "kernels": None,
}
_MAX_WIDTH = 500
_NO_NPU = "To use an emulated one: `ascend-ops bench npu --emulated`"


@dataclass(frozen=True)
class Options:
    """The options that all benches share, by their names on the command line."""

    json: Path | None
    plot: Path | None
    quick: bool
    case: list[str] | None
    markdown: Path | None
    compare: Path | None


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


MarkdownOption = Annotated[
    Path | None,
    typer.Option("--markdown", help="Write the tables to this file, as Markdown."),
]
CompareOption = Annotated[
    Path | None,
    typer.Option(
        "--compare", help="Compare with the --json file of an earlier run; requires scipy."
    ),
]


def _add(name: str, text: str, prepare: Callable[[], None] = lambda: None) -> None:
    """Add the command of a bench without options of its own."""

    def command(
        json: JsonOption = None,
        plot: PlotOption = None,
        quick: QuickOption = False,
        case: CaseOption = None,
        markdown: MarkdownOption = None,
        compare: CompareOption = None,
    ) -> None:
        prepare()
        _bench(name, Options(json, plot, quick, case, markdown, compare))

    app.command(name, help=text)(command)


def _activate_emulator() -> None:
    from ascend_ops.emulator import activate

    activate(op_threads=1)
    _find_npu()


_add("adam", "Compare CPUAdam with torch, DeepSpeed and the memory limit; measure its loading.")
_add("optimizers", "Compare steps of all optimizers with others and the memory limit.")
_add("build", "Measure cold builds: one op beside DeepSpeed and torch, all ops, the emulator.")
_add("cache", "Measure what a cached op costs, beside DeepSpeed and torch.")
_add(
    "emulator",
    "Measure the emulated NPU: build, start, one op, and a training step.",
    _activate_emulator,
)
_add(
    "kernels",
    "Measure a kernel in Ascend C on the emulated NPU: compile, launch, add.",
    _activate_emulator,
)


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
    markdown: MarkdownOption = None,
    compare: CompareOption = None,
) -> None:
    """Compare the host time of NPU ops with torch_npu's functions; measure the ops' build."""
    if emulated:
        from ascend_ops.emulator import activate

        activate()
    _find_npu()
    _bench("npu", Options(json, plot, quick, case, markdown, compare))


@app.command("all")
def every(
    json: Annotated[
        Path | None, typer.Option("--json", help="Write one JSON file per bench into this folder.")
    ] = None,
    plot: PlotOption = None,
    quick: QuickOption = False,
    markdown: MarkdownOption = None,
) -> None:
    """Run all benches, one after the other; NPU calls run on the emulated NPU."""
    reports = []
    for number, (name, cases) in enumerate(_ALL.items(), 1):
        errors().print(f"bench {number} of {len(_ALL)}: {name}")
        if name in _benchmarks("cases").ON_AN_NPU:
            _activate_emulator()
        file = None if json is None else json / f"{name}.json"
        reports.append(_bench(name, Options(file, plot, quick, cases, None, None)))
    if markdown is not None:
        _write_page(markdown, reports)


@app.command("page")
def write_page(
    results: Annotated[list[Path], typer.Argument(help="Files that --json has written, in order.")],
    markdown: Annotated[Path, typer.Option("--markdown", help="Write the page to this file.")],
) -> None:
    """Write the results of several runs as one page, like `bench all --markdown`."""
    _write_page(markdown, [_read(path) for path in results])


def _write_page(path: Path, reports: list[Any]) -> None:
    try:
        path.write_text(_benchmarks("markdown").page(reports), encoding="utf-8")
    except OSError as error:
        raise fail(f"cannot be written: {error}") from error
    console().print(f"wrote {path}")


def _find_npu() -> None:
    try:
        importlib.import_module("torch_npu")
        devices = importlib.import_module("torch").npu.device_count()
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise fail(f"torch_npu cannot be imported: {reason}. {_NO_NPU}") from error
    if devices == 0:
        raise fail(f"torch_npu finds no NPU. {_NO_NPU}")


def _bench(name: str, options: Options) -> Any:
    """Measure, print and write one bench; return its report."""
    _benchmarks("peers").keep_deepspeeds_ops()
    cases = _benchmarks("cases")
    everything = cases.BENCHES[name](options.quick)
    try:
        chosen = cases.select(everything, options.case or [])
    except KeyError as error:
        known = ", ".join(cases.selectors(everything))
        raise typer.BadParameter(f"unknown case {error}; available cases: {known}") from error
    _prepare(options.json, options.plot)
    before = None if options.compare is None else _read_for_comparison(options.compare)
    with _progress() as listener:
        try:
            report = _benchmarks("run").run(name, chosen, options.quick, listener)
        except _benchmarks("implementation").DisagreementError as error:
            raise fail(str(error)) from error
    written = _write(report.to_json(), options.json)
    if options.plot is not None:
        written += _benchmarks("plots").draw(report, options.plot)
    if options.markdown is not None:
        options.markdown.write_text(_benchmarks("markdown").section(report), encoding="utf-8")
        written.append(options.markdown)
    out = errors() if options.json == Path("-") else console()
    _print_wide(out, _benchmarks("tables").render(report))
    if before is not None:
        _print_changes(out, before, report)
    for path in written:
        out.print(f"wrote {path}")
    return report


def _print_wide(out: Console, table: Any) -> None:
    """Print a table of which no figure may be cut off."""
    wide = out.options.update(width=_MAX_WIDTH)
    out.width = max(out.width, Measurement.get(out, wide, table).maximum)
    out.print(table)


def _print_changes(out: Console, before: Any, report: Any) -> None:
    comparing = _benchmarks("compare")
    _print_wide(out, _benchmarks("tables").changes(comparing.compare(before, report)))
    for caveat in comparing.caveats(before, report):
        out.print(f"  {caveat}", style="dim")


def _read(path: Path) -> Any:
    try:
        return _benchmarks("records").Report.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise fail(f"{path} must be a file that --json has written: {error}") from error


def _read_for_comparison(path: Path) -> Any:
    if importlib.util.find_spec("scipy") is None:
        raise fail("--compare requires scipy: pip install 'ascend_ops[bench]'")
    return _read(path)


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
