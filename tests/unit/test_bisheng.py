"""The emulated ``bisheng`` understands the command lines and the launches of public projects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ascend_ops.emulator.bisheng.command_line import UsageError, parse
from ascend_ops.emulator.bisheng.kernels import entry_points, find_kernels
from ascend_ops.emulator.bisheng.launches import LaunchSyntaxError, rewrite, tokens_of
from ascend_ops.emulator.bisheng.missing import advice, missing_names
from ascend_ops.emulator.bisheng.passes import link_passes

CALL = "::aicore::launcher([=](auto... arguments) { %s(arguments...); }, "


@pytest.mark.parametrize(
    ("line", "arch", "kernels"),
    [
        ("-x asc --npu-arch=dav-2201 -shared -fPIC a.cpp -o a.so", 2201, ["a.cpp"]),
        ("-xasc --npu-arch=dav-3510 --shared a.asc -oa.so", 3510, ["a.asc"]),
        ("-xcce --std=c++17 -O2 --cce-soc-version=Ascend910B1 a.cpp", 2201, ["a.cpp"]),
        ("-x cce --cce-aicore-only --cce-aicore-arch=dav-c220-vec -c a.cce", 2201, ["a.cce"]),
        ("--cce-soc-version=Ascend310P3 --cce-soc-core-type=AICore a.asc", 2002, ["a.asc"]),
        ("-O2 --npu-arch=dav-2201 -mllvm -enable-hiipu-vf-loop-unroll k.asc", 2201, ["k.asc"]),
        ("-std=c++17 -c host.cpp -o host.o", 2201, []),
        ("--cce-fatobj-link -shared k.o -o k.so", 2201, []),
        ("-Xaicore-start -O2 -Xaicore-end -Xhost-start -g -Xhost-end k.asc", 2201, ["k.asc"]),
    ],
)
def test_a_command_line_is_understood(line: str, arch: int, kernels: list[str]) -> None:
    parsed = parse(line.split())
    assert (parsed.arch, [str(path) for path in parsed.kernels]) == (arch, kernels)
    device_flags = ("--cce", "--npu", "-Xaicore", "-Xhost")
    assert not [flag for flag in parsed.compile_flags if flag.startswith(device_flags)]


@pytest.mark.parametrize(
    ("arch", "cores"),
    [
        ("--cce-aicore-arch=dav-c220-vec", 0),
        ("--cce-aicore-arch=dav-c220-cube", 1),
        ("--cce-aicore-arch=dav-c220", None),
        ("--npu-arch=dav-2201", None),
    ],
)
def test_an_architecture_may_name_one_kind_of_core(arch: str, cores: int | None) -> None:
    assert parse(["-xcce", arch, "k.cpp"]).cores == cores


@pytest.mark.parametrize(("line", "language"), [("-x cce a", "cce"), ("-xasc a", "asc"), ("a", "")])
def test_the_language_of_a_command_line_is_kept(line: str, language: str) -> None:
    assert parse(line.split()).language == language


def test_automatic_synchronisation_can_be_off() -> None:
    assert parse(["--cce-auto-sync", "a.asc"]).auto_sync
    assert not parse(["--cce-auto-sync=off", "a.asc"]).auto_sync


@pytest.mark.parametrize(
    ("line", "stops"),
    [
        ("--cce-aicore-only k.asc -o k.o", "-c"),  # ld.lld makes the binary
        ("--aicore-only k.asc -o k.o", "-c"),  # its name in CANN 9
        ("--cce-aicore-only -shared k.asc -o k.so", ""),
        ("k.asc -o k", ""),
    ],
)
def test_kernels_alone_are_compiled_to_an_object(line: str, stops: str) -> None:
    parsed = parse(line.split())
    assert (parsed.device_only, parsed.stops) == ("aicore-only" in line, stops)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["a.asc", "-o"], "-o must be followed by a value"),
        (["--npu-arch=dav-77", "a.asc"], r"--npu-arch: the SoC must be one of .*'dav-77'"),
    ],
)
def test_a_wrong_command_line_is_refused(line: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(line)


@pytest.mark.parametrize(
    ("source", "kernel"),
    [
        ("k<<<8, nullptr, s>>>(x);", "k"),
        ("ns::k<<<8, nullptr, s>>>(x);", "ns::k"),
        ("k<float, 3><<<8, nullptr, s>>>(x);", "k<float, 3>"),
        ("k<A<B<int>>><<<8, nullptr, s>>>(x);", "k<A<B<int>>>"),
        ("k<(2 > 1)> <<<8, nullptr, s>>>(x);", "k<(2 > 1)>"),
        ("k_##TYPE<<<n, nullptr, s>>>(x);", "k_##TYPE"),
    ],
)
def test_a_launch_becomes_a_call(source: str, kernel: str) -> None:
    assert (CALL % kernel) in rewrite(source, {}, "vector")


def test_what_is_not_a_launch_stays_as_it_is() -> None:
    text = 'a << 3; b >>= 1; std::vector<std::vector<std::vector<int>>> v; "<<<"; // <<<>>>\n'
    assert rewrite(text, {}, "vector") == text
    assert "".join(tokens_of(text)) == text


def test_lines_stay_where_they_are() -> None:
    text = "k<<<8,\n    nullptr,\n    stream>>>(\n    x);\nnext();\n"
    assert rewrite(text, {}, "vector").count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("\n\nk<<<8, nullptr, s;", "<<< without >>>", 3),
        ("\n(a + b)<<<8, nullptr, s>>>(x);", "there must be the name of a kernel before <<<", 2),
    ],
)
def test_a_broken_launch_is_refused_with_its_line(source: str, message: str, line: int) -> None:
    with pytest.raises(LaunchSyntaxError, match=message) as refused:
        rewrite(source, {}, "vector")
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("source", "types", "cores"),
    [
        ("__global__ __aicore__ void k(GM_ADDR x) { TBuf<VECCALC> b; }", {"k": "vector"}, 0),
        ("__global__ __cube__ void k(GM_ADDR x) {}", {"k": "cube"}, 1),
        ("__global__ __mix__(1, 2) void k(GM_ADDR x) {}", {"k": "mix_1_2"}, 2),
        ("__global__ __aicore__ void k(int) { Mmad(c, a, b, p); }", {"k": "cube"}, 1),
        (
            "__global__ __aicore__ void k(int) { KERNEL_TASK_TYPE_DEFAULT(KERNEL_TYPE_MIX_AIC_1_1);"
            "}",
            {"k": "mix_1_1"},
            2,
        ),
        ("// __global__ __cube__ void k(GM_ADDR x) {}\n", {}, 0),
    ],
)
def test_the_cores_of_a_kernel(source: str, types: dict[str, str], cores: int) -> None:
    found = find_kernels([source])
    assert (found.types, found.cores) == (types, cores)


def test_a_matmul_object_uses_both_kinds_of_cores() -> None:
    kernel = "__global__ __aicore__ void k(int) { REGIST_MATMUL_OBJ(&pipe, space, mm, &tiling); }"
    assert find_kernels([kernel]).types == {"k": "mix_1_2"}
    assert find_kernels([f"#define ASCENDC_CUBE_ONLY\n{kernel} Matmul"]).types == {"k": "cube"}


def test_the_entry_points_of_a_binary() -> None:
    source = """
    #include "kernel_operator.h"
    namespace a::b { __global__ void nested(int n) { } }
    inline namespace v1 { __global__ void versioned(int n) { } }
    #define BRACE \\
        {
    extern "C" __global__ __aicore__ void first(GM_ADDR x) { if (x) { } }
    namespace ops { namespace { __global__ __vector__ void second(int n) { } } }
    template <class T> __global__ __aicore__ void generic(T n) { }
    __global__ __aicore__ void declared(int n);
    // __global__ void commented(int n) { }
    """
    assert entry_points(source) == ["a::b::nested", "v1::versioned", "first", "ops::second"]


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (
            "k.asc:9:14: error: \u2018Scatter\u2019 is not a member of \u2018AscendC\u2019",
            "Scatter",
        ),
        ("k.asc:9:14: error: 'int2b_t' was not declared in this scope", "int2b_t"),
        ("k.asc:1:10: fatal error: lib/conv_intf.h: No such file or directory", "lib/conv_intf.h"),
    ],
)
def test_the_name_that_the_headers_lack_is_given(message: str, name: str) -> None:
    assert missing_names(message) == [name]
    wanted = f"may lack {name}. To add a function of Ascend C, see docs/how-to/"
    assert wanted in advice(message, 2201)


def test_other_errors_get_no_advice() -> None:
    assert advice("k.asc:3:1: error: expected ';' before '}' token", 2201) == ""


def test_the_attribute_that_aicore_stands_for_is_dropped() -> None:
    assert rewrite("__inline__ [aicore] void f();", {}, "vector") == "__inline__  void f();"
    assert rewrite("inline [ host, aicore ] void f();", {}, "vector") == "inline  void f();"
    assert rewrite("[host] { aicore(); };", {}, "vector") == "[host] { aicore(); };"


def test_a_binary_can_name_a_template_of_kernels() -> None:
    line = ["--cce-aicore-only", "--aicore-name-expression=ops::add<half, 2>", "k.asc"]
    assert parse(line).name_expressions == ["ops::add<half, 2>"]


def test_passes_need_binutils(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "objcopy" else f"/bin/{name}")
    objects = [tmp_path / name for name in ("vector.o", "cube.o", "out.o")]
    with pytest.raises(UsageError, match=r"objcopy must be on PATH.*apt-get install binutils"):
        link_passes(len, ["g++"], *objects)


@pytest.mark.parametrize("stop", ["-c", "-S", "-E"])
def test_a_source_without_kernels_leaves_no_folder(stop: str, tmp_path: Path) -> None:
    source, temporary = tmp_path / "host.cpp", tmp_path / "temporary"
    source.write_text("int answer() { return 42; }\n")
    temporary.mkdir()
    call = "import sys; from pathlib import Path; from ascend_ops.emulator.bisheng import driver; "
    call += "sys.exit(driver.main(Path(sys.argv[1]), sys.argv[2:]))"
    output = tmp_path / "output"
    done = subprocess.run(
        [sys.executable, "-c", call, str(tmp_path), stop, str(source), "-o", str(output)],
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )
    assert done.returncode == 0
    assert output.stat().st_size > 0
    assert list(temporary.iterdir()) == []
