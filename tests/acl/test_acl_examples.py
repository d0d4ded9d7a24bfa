"""Every public name of ascend_ops.acl has an ``Example:`` that runs, and so has the module."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from ascend_ops import acl
from ascend_ops.acl.native import AclError, PinnedBuffer

#: C++ classes; their docstrings are in the declarations for type checkers.
DECLARED = {"AclError": AclError, "PinnedBuffer": PinnedBuffer}


def documented(name: str) -> Any:
    return acl if name == "acl" else DECLARED.get(name) or getattr(acl, name)


@pytest.mark.npu
@pytest.mark.parametrize("name", ["acl", *acl.__all__])
def test_the_example_runs(name):
    text = documented(name).__doc__
    assert "Example:" in text
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples
    report: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not failed, "".join(report)
