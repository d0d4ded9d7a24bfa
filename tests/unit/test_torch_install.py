"""torch, torch_npu and their versions are found without importing them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cann_trees
import pytest

from op_builder.recipe.bindings import binding_settings
from op_builder.toolchain import Toolchain
from op_builder.toolchain.torch_install import PackageInstall, find_package


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a folder of packages that raise when they are imported."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    assert "fake_npu" not in sys.modules


@pytest.mark.parametrize(
    "line",
    [
        "__version__ = '2.9.0+git1a2b3c4'",
        '__version__ = "2.9.0+git1a2b3c4"  # made at build',
        "__version__: str = '2.9.0+git1a2b3c4'",
    ],
)
def test_the_version_is_read_and_the_package_not_imported(packages: Path, line: str) -> None:
    cann_trees.write(packages / "fake_npu" / "__init__.py", "raise ImportError('libhccl.so')")
    cann_trees.write(packages / "fake_npu" / "version.py", "git_version = 'c798c65'", line)
    found = find_package("fake_npu")
    assert found == PackageInstall(packages / "fake_npu", "2.9.0+git1a2b3c4", "c798c65")
    assert found.release == (2, 9, 0)


def test_a_package_that_is_missing_or_has_no_version(packages: Path) -> None:
    assert find_package("fake_npu") is None
    cann_trees.write(packages / "fake_npu" / "__init__.py", "raise ImportError('libhccl.so')")
    assert find_package("fake_npu") is None
    cann_trees.write(packages / "fake_npu" / "version.py", "version = 1")
    found = find_package("fake_npu")
    assert found is not None
    assert found.version == "unknown"
    assert found.release == ()


def test_the_package_that_is_loaded_is_the_one_that_counts(packages: Path) -> None:
    import torch

    found = find_package("torch")
    assert found is not None
    assert found.root == Path(torch.__file__).parent
    assert found.version == torch.__version__
    assert found.uses_cxx11_abi() == torch._C._GLIBCXX_USE_CXX11_ABI


@pytest.mark.parametrize(("symbols", "flag"), [(b"_ZNSt7__cxx1112basic", 1), (b"_ZNSs4_Rep", 0)])
def test_upstream_12_the_abi_flag_is_that_of_torchs_libraries(
    tmp_path: Path, symbols: bytes, flag: int
) -> None:
    """Guessing it gave undefined symbols at load time (vllm-ascend #1249, #1144)."""
    detected = Toolchain.detect({"PATH": "/nowhere"})
    library = tmp_path / "torch" / "lib" / "libc10.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"\x7fELF" + symbols)
    torch = PackageInstall(tmp_path / "torch", "2.6.0", "")
    toolchain = replace(detected, torch=torch)
    settings = binding_settings("torch", "made_up", toolchain, True)
    assert f"-D_GLIBCXX_USE_CXX11_ABI={flag}" in settings.cxx_flags
    assert f"C++11 ABI {flag}" in settings.bound_to["torch"]


@pytest.mark.parametrize("binding", ["python", "torch_extension"])
def test_an_op_that_includes_torch_gets_torchs_own_pybind11(binding: str) -> None:
    """With pip's, whose internals differ, the classes of torch._C are refused (TypeError)."""
    pytest.importorskip("pybind11")
    settings = binding_settings(binding, "made_up", Toolchain.detect({"PATH": "/nowhere"}), True)

    assert "pybind11" not in settings.roots
    assert settings.include_dirs.index("torch/include") < settings.include_dirs.index("python")
    assert "-ltorch_python" in settings.ld_flags
    assert "-Wl,-z,defs" not in settings.ld_flags  # the interpreter defines Python's symbols
    assert set(settings.bound_to) == {"torch", "python"}


def test_a_python_op_without_torch_gets_the_pybind11_of_pip() -> None:
    pytest.importorskip("pybind11")
    settings = binding_settings("python", "made_up", Toolchain.detect({"PATH": "/nowhere"}), False)

    assert settings.include_dirs == ["python", "pybind11"]
    assert set(settings.bound_to) == {"python"}


def test_a_package_of_other_folders(tmp_path: Path) -> None:
    """The first folder that has the package counts, as in ``sys.path``."""
    for number in (1, 2):
        package = tmp_path / str(number) / "torch"
        cann_trees.write(package / "version.py", f"__version__ = '2.{number}.0'")
    found = find_package("torch", ["", str(tmp_path), str(tmp_path / "2"), str(tmp_path / "1")])
    assert found is not None
    assert found.version == "2.2.0"
    assert find_package("torch", []) is None
