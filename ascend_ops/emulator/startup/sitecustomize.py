"""Imported by every Python that ``ascend-ops emulate`` starts, as it is first on its path.

It then runs the ``sitecustomize`` that would have been imported without it.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _install_advice() -> None:
    path = _HERE.parent / "missing_functions.py"
    spec = importlib.util.spec_from_file_location("_ascend_ops_missing_functions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.install()


def _run_the_next_one() -> None:
    others = [entry for entry in sys.path if not entry or Path(entry).resolve() != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_install_advice()
_run_the_next_one()
