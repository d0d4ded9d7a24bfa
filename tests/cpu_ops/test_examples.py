"""The examples in the docstrings of the public ops and classes run on the CPU."""

from __future__ import annotations

import doctest

import pytest

import ascend_ops

pytestmark = pytest.mark.compiler


@pytest.mark.parametrize("name", sorted({*ascend_ops.__all__} - {"__version__", "acl"}))
def test_the_example_runs(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    examples = 0
    for test in doctest.DocTestFinder(recurse=False).find(getattr(ascend_ops, name), name):
        examples += len(test.examples)
        runner.run(test)
    assert examples > 0, f"{name} has no example"
    assert runner.failures == 0
