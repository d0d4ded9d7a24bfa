"""The package of examples: installed as users would, listed, built, cached and run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import Sandbox

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "external_ops"

TORCH_FIRST = "import torch"  # processes that importing torch starts do not count
# Values that are known, or compared with torch inside the process.
SWIGLU = (
    "(lambda torch, x, y: bool(torch.allclose(module.swiglu(x.t(), y.t()),"
    " torch.nn.functional.silu(x.t()) * y.t(), rtol=1e-6, atol=1e-7))"
    ")((torch := __import__('torch')), torch.randn(130, 70), torch.randn(130, 70))"
)
WRONG_DTYPE = "__import__('torch').ones(2).double()"
SWIGLU_REFUSES = (
    "'must have dtype float32, got Double and Double' in str(__import__('pytest').raises("
    f"RuntimeError, lambda: module.swiglu({WRONG_DTYPE}, {WRONG_DTYPE})).value)"
)
SQUARED_RELU = (
    "(lambda torch, x: bool(torch.equal(module.squared_relu(x), torch.relu(x) ** 2))"
    ")((torch := __import__('torch')), torch.randn(70, 130).t())"
)
EDIT_DISTANCES = (
    "[module.edit_distance('kitten', 'sitting'), module.edit_distance([], ['a', 'b']),"
    " module.edit_distance('the cat sat'.split(), 'the cat sat'.split())]"
)
OPS = [
    pytest.param("crc32c:Crc32c", "pass", "module.crc32c(b'123456789')", 0xE3069283, id="ctypes"),
    pytest.param(
        "swiglu:Swiglu", TORCH_FIRST, f"[{SWIGLU}, {SWIGLU_REFUSES}]", [True, True], id="stable"
    ),
    pytest.param("squared_relu:SquaredRelu", TORCH_FIRST, SQUARED_RELU, True, id="torch"),
    pytest.param("edit_distance:EditDistance", "pass", EDIT_DISTANCES, [3, 2, 0], id="python"),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the examples with pip from a copy, since a build leaves files behind."""
    base = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLE, base / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(base / "site"), str(base / "source")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return base / "site"


@pytest.mark.parametrize(("op", "first", "value", "wanted"), OPS)
def test_example_builds_caches_loads_and_computes(
    sandbox: Sandbox, installed: Path, op: str, first: str, value: str, wanted: object
) -> None:
    pytest.importorskip("pybind11")
    builder = f"example_ops.{op}Builder"
    cold = sandbox.load(builder, project=installed, first=first, value=value)
    hit = sandbox.load(builder, project=installed, first=first, value=value)

    assert (cold.value, cold.message) == (wanted, "")
    assert hit.value == wanted
    assert hit.library == cold.library
    assert hit.processes == ()
    assert hit.locks == ()
    assert sandbox.compiles == 1


def test_report_lists_the_examples_with_the_projects_own_ops(
    sandbox: Sandbox, installed: Path
) -> None:
    report = json.loads(sandbox.run_cli("report", "--json", PYTHONPATH=str(installed)))
    states = {op["op"]: op["state"] for op in report["ops"]}
    origins = {op["op"]: op["origin"] for op in report["ops"]}

    assert states["cpu_adam"] == "buildable"
    for name in ("crc32c", "swiglu", "squared_relu", "edit_distance"):
        assert states[name] == "buildable"
        assert origins[name] == f"example_ops.{name}"


def test_command_line_builds_and_explains_an_example(sandbox: Sandbox, installed: Path) -> None:
    path = {"PYTHONPATH": str(installed)}
    built = json.loads(sandbox.run_cli("build", "crc32c", "--json", **path))
    explained = json.loads(sandbox.run_cli("cache", "explain", "crc32c", "--json", **path))

    assert [op["outcome"] for op in built["ops"]] == ["built"]
    assert explained["hit"] == str(Path(built["ops"][0]["library"]).parent)
    assert "crc32c.cpp" in explained["recipe"]["sources"]


def test_importing_the_examples_builds_and_loads_nothing(sandbox: Sandbox, installed: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from example_ops import crc32c, edit_distance, scaled_add, squared_relu, swiglu;"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(installed)],
        env=sandbox.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not sandbox.cache.exists()


def test_example_reports_what_is_missing(sandbox: Sandbox, installed: Path) -> None:
    no_pybind11 = "import importlib.util as u; find = u.find_spec;" + (
        "u.find_spec = lambda name, *rest: None if name == 'pybind11' else find(name, *rest)"
    )
    builder = "example_ops.edit_distance:EditDistanceBuilder"
    failed = sandbox.load(builder, project=installed, first=no_pybind11)

    assert failed.error == "IncompatibleOpError"
    assert "pip install pybind11" in failed.message
    assert sandbox.compiles == 0
