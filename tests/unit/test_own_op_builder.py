"""ascend_ops and another package named ``op_builder``, such as DeepSpeed's, in one process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FOREIGN_INIT = """
from .builder import marker
__deepspeed__ = True
"""
FOREIGN_BUILDER = """
import importlib
from . import helper
marker = "foreign"
def again():
    from .helper import value
    return importlib.import_module("op_builder").marker, value
"""
TRAIN = """
import torch
parameter = torch.nn.Parameter(torch.ones(64))
parameter.grad = torch.ones(64)
ascend_ops.CPUAdam([parameter], lr=0.5).step()
assert (parameter < 1).all()
"""
FOREIGN_REMAINS = """
import op_builder
from op_builder import __deepspeed__
assert op_builder.builder.again() == ("foreign", 1)
assert "op_builder.version" not in sys.modules
from ascend_ops.cli import main
assert sys.modules["op_builder"].marker == "foreign"
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A checkout with an ``op_builder`` of its own, as DeepSpeed's."""
    package = tmp_path / "checkout" / "op_builder"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(FOREIGN_INIT, encoding="utf-8")
    (package / "builder.py").write_text(FOREIGN_BUILDER, encoding="utf-8")
    (package / "helper.py").write_text("value = 1\n", encoding="utf-8")
    return package.parent


def python(*arguments: str, path: list[Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with ``path`` first on sys.path."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the tests of this file share."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.compiler
@pytest.mark.parametrize("before", ["", "import op_builder\n"], ids=["later", "before"])
def test_ops_work_beside_another_op_builder(
    foreign: Path, before: str, built_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASCEND_OPS_CACHE_DIR", str(built_once))
    program = f"import sys\n{before}import ascend_ops\n{TRAIN}{FOREIGN_REMAINS}"
    done = python("-c", program, path=[foreign, ROOT], cwd=foreign)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_other_op_builder_may_come_later_too(foreign: Path) -> None:
    """What was imported first keeps the name; DeepSpeed then falls back to its own copy."""
    program = f"import ascend_ops, sys; sys.path.insert(0, {str(foreign)!r}); import op_builder; "
    program += "print(op_builder.__file__)"
    done = python("-c", program, path=[ROOT], cwd=foreign.parent)
    assert done.stdout.strip() == str(ROOT / "op_builder" / "__init__.py"), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "ascend_ops", "--version"],
        ["-m", "ascend_ops.cli.main", "report", "--json"],
        ["-m", "ascend_ops", "cache", "list"],
        ["-m", "ascend_ops", "bench", "adam", "--case", "no-such-case"],
    ],
    ids=" ".join,
)
def test_the_program_works_beside_another_op_builder(foreign: Path, arguments: list[str]) -> None:
    done = python(*arguments, path=[foreign, ROOT], cwd=foreign)
    usual = python(*arguments, path=[ROOT], cwd=foreign.parent)
    assert done.returncode == usual.returncode
    assert done.stdout.replace("ascend_ops._op_builder", "op_builder") == usual.stdout
    assert "Traceback" not in done.stderr


def test_the_choice_is_logged(foreign: Path) -> None:
    program = "import logging; logging.basicConfig(level='INFO'); import ascend_ops"
    done = python("-c", program, path=[foreign, ROOT], cwd=foreign)
    assert str(foreign / "op_builder" / "__init__.py") in done.stderr
    assert "ascend_ops._op_builder" in done.stderr
    assert python("-c", program, path=[ROOT], cwd=foreign.parent).stderr == ""


def test_ascend_ops_may_be_a_link(tmp_path: Path) -> None:
    """Its op_builder is then not on sys.path, and is imported under its usual name."""
    (tmp_path / "ascend_ops").symlink_to(ROOT / "ascend_ops")
    program = "import ascend_ops, op_builder, sys; print(op_builder.__file__, op_builder.ALL_OPS)"
    done = python("-S", "-c", program, path=[tmp_path], cwd=tmp_path)
    assert done.stdout.startswith(str(ROOT / "op_builder" / "__init__.py")), done.stderr


@pytest.mark.parametrize("other", [True, False])
def test_a_missing_op_builder_is_an_error_that_names_the_place(
    foreign: Path, tmp_path: Path, other: bool
) -> None:
    site = tmp_path / "site"
    shutil.copytree(ROOT / "ascend_ops", site / "ascend_ops")
    path = [foreign, site] if other else [site]
    done = python("-S", "-c", "import ascend_ops", path=path, cwd=tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ascend_ops requires its own op_builder")
    assert str(site / "op_builder" / "__init__.py") in last
    assert "pip install" in last
    assert (str(foreign / "op_builder" / "__init__.py") in last) is other
    assert ("op_builder is not installed" in last) is not other
