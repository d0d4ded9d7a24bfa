"""Every public op and optimizer has an ``Example:`` in its docstring, and the example runs."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
import torch

import ascend_ops

PUBLIC = {
    name: value
    for name in ascend_ops.__all__
    if callable(value := getattr(ascend_ops, name)) and not name.startswith("_")
}


def examples_of(name: str, value: Any) -> list[doctest.DocTest]:
    """Return the examples of an object and its methods."""
    found = doctest.DocTestFinder().find(value, name, globs={})
    return [test for test in found if test.examples]


@pytest.mark.compiler  # the CPU optimizers are compiled at their first step
@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_runs(name: str) -> None:
    tests = examples_of(name, PUBLIC[name])
    assert [test.name for test in tests][:1] == [name], f"add an Example: to {name}"
    assert "Example:" in PUBLIC[name].__doc__
    for test in tests:
        report: list[str] = []
        with torch.random.fork_rng(devices=[]):
            failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
        if failed:
            pytest.fail("".join(report), pytrace=False)
