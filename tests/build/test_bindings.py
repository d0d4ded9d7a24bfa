"""What a build is bound to, and that each binding loads in a new process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sandbox import ANSWER, Sandbox

from op_builder import builder_of

STABLE = "stable_answer:StableAnswerBuilder"
PYTHON = "python_answer:PythonAnswerBuilder"
NO_TORCH = "assert 'torch' not in sys.modules"


def manifest(entry: Path) -> dict[str, Any]:
    """Return the manifest of an entry."""
    found: dict[str, Any] = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_ctypes_op_is_bound_to_nothing(sandbox: Sandbox) -> None:
    assert manifest(sandbox.load(ANSWER).entry)["recipe"]["bound_to"] == {}


def test_stable_op_is_bound_to_the_stable_abi_and_not_to_one_torch(sandbox: Sandbox) -> None:
    loaded = sandbox.load(STABLE, first=NO_TORCH)

    assert loaded.value == 42
    assert manifest(loaded.entry)["recipe"]["bound_to"] == {"torch": "stable ABI, 2.10 or newer"}


CALLS_AT_EXIT = """
class Last:
    write = os.write
    def __del__(self):
        self.write(2, f"{self.loaded.answer()} {self.torch.ops}".encode())
sys.last = Last()
"""


def test_functions_can_be_called_when_the_interpreter_exits_and_torch_is_gone(
    sandbox: Sandbox,
) -> None:
    """DeepSpeed calls ``destroy_adam`` in a finalizer."""
    keep = "vars(__import__('sys').last).update(loaded=loaded, torch=__import__('torch'))"
    ended = sandbox.load(STABLE, first=CALLS_AT_EXIT, value=keep)

    assert ended.stderr == "42 None"


@pytest.mark.parametrize("name", ["cpu_adam", "cpu_lion", "cpu_adagrad"])
def test_all_functions_of_a_stable_op_are_found_in_its_library(name: str) -> None:
    import torch

    module = builder_of(name).load()
    prefix = f"{module._namespace.name}::"
    registered = {
        found.removeprefix(prefix).partition(".")[0]
        for found in torch._C._dispatch_get_all_op_names()
        if found.startswith(prefix)
    }
    assert "set_cpu_capability" in registered
    assert registered <= set(dir(module))


def test_source_that_sets_its_own_torch_target_compiles_without_a_warning(
    sandbox: Sandbox,
) -> None:
    define = "#define TORCH_TARGET_VERSION 0x020B000000000000\n"
    include = "#include <torch/csrc/stable/library.h>\n"
    sandbox.edit("stable_answer.cpp", include, define + include)
    loaded = sandbox.load(STABLE)

    assert loaded.value == 42
    assert "TORCH_TARGET_VERSION" not in (loaded.entry / "build.log").read_text(encoding="utf-8")
    assert manifest(loaded.entry)["recipe"]["bound_to"] == {"torch": "stable ABI, 2.11 or newer"}


def test_header_that_sets_another_torch_target_is_refused(sandbox: Sandbox) -> None:
    """The compiler would only warn, and bound_to would name an older torch."""
    include = "#include <torch/csrc/stable/library.h>\n"
    sandbox.edit("stable_answer.cpp", include, '#include "target.h"\n' + include)
    header = sandbox.project / "target.h"
    header.write_text("#define TORCH_TARGET_VERSION 0x020B000000000000\n", encoding="utf-8")
    refused = sandbox.load(STABLE)

    assert refused.error == "BuildError"
    assert "TORCH_TARGET_VERSION must be defined in a source or in cxx_args()" in refused.message
    header.write_text("#define TORCH_TARGET_VERSION 0x020A000000000000\n", encoding="utf-8")
    assert sandbox.load(STABLE).value == 42


def test_python_op_that_links_torch_loads_before_torch_was_imported(sandbox: Sandbox) -> None:
    """Its library requires libtorch.so, which is loaded by importing torch."""
    pytest.importorskip("pybind11")
    cold = sandbox.load(PYTHON, first=NO_TORCH)
    hit = sandbox.load(PYTHON, first=NO_TORCH)

    assert (cold.value, cold.message) == (42, "")
    assert (hit.value, hit.library) == (42, cold.library)
    bound_to = manifest(cold.entry)["recipe"]["bound_to"]
    assert bound_to["python"].endswith(".so")
    assert "C++11 ABI" in bound_to["torch"]


def test_every_header_of_torch_is_tracked(sandbox: Sandbox) -> None:
    headers = manifest(sandbox.load(STABLE).entry)["headers"]

    assert "torch/include/torch/csrc/stable/library.h" in headers
    assert any(header.startswith("/usr/") for header in headers)
