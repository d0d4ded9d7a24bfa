"""The functions that launch the kernels of ``ascendc_library``, from the preprocessed source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ascend_ops.emulator.bisheng.launch_functions import (
    LaunchFunction,
    launch_functions,
    workspace_of,
    write_headers,
)
from ascend_ops.emulator.bisheng.preprocessed import own_text

CANN = Path("/cann")


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ("", ()),
        ("void", ()),
        ("uint8_t* x, float factor", (("void*", "x"), ("float", "factor"))),
        ("GM_ADDR x, GM_ADDR", (("void*", "x"), ("void*", "argument1"))),
        ("const half *__restrict__ x", (("void*", "x"),)),
        ("const unsigned int count", (("unsigned int", "count"),)),
        ("int sizes[4], P<A, B<C<D>>> p", (("void*", "sizes"), ("P < A , B < C < D >>>", "p"))),
        ("ops::Tiling t, struct Size s", (("ops :: Tiling", "t"), ("struct Size", "s"))),
        (
            "uint8_t*, unsigned, ops::Tiling",
            (("void*", "argument0"), ("unsigned", "argument1"), ("ops :: Tiling", "argument2")),
        ),
        ("int count = 4", (("int", "count"),)),
    ],
)
def test_the_parameters_of_a_kernel(parameters: str, found: tuple[tuple[str, str], ...]) -> None:
    source = f'extern "C" __global__ void k({parameters}) {{ f(1); }}'
    assert launch_functions(source) == [LaunchFunction("k", found)]


def test_only_definitions_in_the_files_of_the_project_count() -> None:
    source = """# 1 "/project/k.cpp"
# 1 "/usr/include/x.h" 1 3 4
__global__ void in_a_system_header(int n) { }
# 2 "/project/k.cpp" 2
# 1 "/cann/include/kernel_operator.h" 1
__global__ void in_cann(int n) { }
# 3 "/project/k.cpp" 2
# 1 "/project/own \\"header\\".h" 1
namespace a::b { __global__ void own(int n) { } }
# 4 "/project/k.cpp" 2
template <class T> __global__ void generic(T n) { }
__global__ void declared(int n);
"""
    assert [function.kernel for function in launch_functions(own_text(source, CANN))] == [
        "a::b::own"
    ]


def test_the_definition_stands_in_the_namespace_of_the_kernel() -> None:
    function = LaunchFunction("a::b::k", (("void*", "x"), ("Size", "size"), ("void*", "space")))
    assert function.definition("cube", "space") == (
        'namespace a::b { extern "C" __attribute__((visibility("default"))) std::uint32_t '
        "aclrtlaunch_k(uint32_t blockDim, void* stream, void* x, Size size, void* space) "
        '{ return ::aicore::launch_function([](auto... values) { k(values...); }, &k, "k", '
        "::aicore::KernelType::cube, blockDim, stream, x, size, "
        "::aicore::behind_system_workspace(space)); } "
        'extern "C" __attribute__((visibility("default"))) __attribute__((alias("aclrtlaunch_k"))) '
        "std::uint32_t aclrtlaunch_k__of_header(uint32_t blockDim, void* stream, void* x, "
        f'Size size, void* space) __asm__("{function.symbol}"); }}\n'
    )


def test_other_parameters_have_another_symbol() -> None:
    kinds = [(), (("void*", "x"),), (("float", "x"),)]
    symbols = {LaunchFunction("k", parameters).symbol for parameters in kinds}
    assert len(symbols) == len(kinds)
    assert LaunchFunction("k", (("float", "y"),)).symbol in symbols
    start = "aclrtlaunch_k__parameters_changed_build_again__"
    assert all(symbol.startswith(start) for symbol in symbols)


def test_a_header_that_has_not_changed_is_left_alone(tmp_path: Path) -> None:
    function = LaunchFunction("k", (("void*", "x"),))
    write_headers([function], tmp_path / "include")
    header = tmp_path / "include" / "aclrtlaunch_k.h"
    text = header.read_text()
    assert "uint32_t aclrtlaunch_k(uint32_t blockDim, aclrtStream stream, void* x)\n" in text
    assert f'__asm__("{function.symbol}");' in text
    os.utime(header, ns=(1, 1))
    write_headers([function], tmp_path / "include")
    assert header.stat().st_mtime_ns == 1
    write_headers([LaunchFunction("k", ())], tmp_path / "include")
    assert header.read_text() != text


def test_the_workspace_is_the_last_pointer_or_the_one_before_the_tiling() -> None:
    function = LaunchFunction("k", (("int", "n"), ("void*", "space"), ("void*", "tiling")))
    assert workspace_of(function, []) is None
    assert workspace_of(function, ["HAVE_TILING"]) is None
    assert workspace_of(function, ["HAVE_WORKSPACE"]) == "tiling"
    assert workspace_of(function, ["HAVE_WORKSPACE", "HAVE_TILING"]) == "space"


@pytest.mark.parametrize(("parameters", "got"), [((), "none"), ((("int", "n"),), "int n")])
def test_a_kernel_without_a_workspace_is_refused(
    parameters: tuple[tuple[str, str], ...], got: str
) -> None:
    with pytest.raises(ValueError, match=f"must be the pointer to its workspace, got {got}"):
        workspace_of(LaunchFunction("k", parameters), ["HAVE_WORKSPACE"])
