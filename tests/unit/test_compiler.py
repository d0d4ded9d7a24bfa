"""Which compiler is used, and why others are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_compilers import CLANG, GCC, OLD_CLANG, OLD_GCC, FakeToolbox

from op_builder.errors import CompilerNotFoundError
from op_builder.toolchain import Toolchain
from op_builder.toolchain.compiler import find_compiler


@pytest.fixture
def toolbox(tmp_path: Path) -> FakeToolbox:
    folder = tmp_path / "bin"
    folder.mkdir()
    return FakeToolbox(folder)


def _refused(environ: dict[str, str]) -> CompilerNotFoundError:
    with pytest.raises(CompilerNotFoundError) as caught:
        find_compiler(environ, None)
    return caught.value


def test_what_is_learnt_of_a_compiler(toolbox: FakeToolbox) -> None:
    program = toolbox.compiler("g++", GCC)
    found = find_compiler(toolbox.environ, None)
    assert found.command == (str(program),)
    assert found.path == str(program)
    assert (found.family, found.version, found.target) == ("gcc", "13.2.1", "x86_64-test-linux")
    assert found.tools == ("GNU as 2.40", "GNU ld 2.40")
    assert found.identity() == {
        "path": str(program),
        "arguments": [],
        "version": "gcc 13.2.1",
        "target": "x86_64-test-linux",
        "tools": ["GNU as 2.40", "GNU ld 2.40"],
        "content": found.content,
    }
    assert set(found.content) == {"command", "driver", "cc1plus", "as", "ld"}


def test_gxx_is_preferred_and_clang_is_the_fallback(toolbox: FakeToolbox) -> None:
    clang = toolbox.compiler("clang++", CLANG)
    found = find_compiler(toolbox.environ, None)
    assert (found.path, found.family, found.version) == (str(clang), "clang", "17.0.6")
    gxx = toolbox.compiler("g++", GCC)
    assert find_compiler(toolbox.environ, None).path == str(gxx)


def test_a_folder_of_path_may_end_with_a_slash(toolbox: FakeToolbox) -> None:
    program = toolbox.compiler("g++", GCC)
    environ = {**toolbox.environ, "PATH": toolbox.environ["PATH"].replace(":", "/:") + "/"}
    assert find_compiler(environ, None).command == (str(program),)


def test_upstream_16_a_gxx_that_is_too_old_is_found_out_first(toolbox: FakeToolbox) -> None:
    """DeepSpeed #7143, #5429, #3221: it failed in the middle of the build."""
    toolbox.compiler("g++", OLD_GCC)
    error = _refused(toolbox.environ)
    assert "is gcc 8.5.0, but must be 9.0 or newer" in error.refusals[0]
    assert "clang++: not found on PATH" in error.refusals[1]
    for advice in ("dnf install gcc-c++", "openEuler", "apt-get install g++", "Debian", "CXX"):
        assert advice in str(error)
    assert all("-shared" not in call for call in toolbox.calls())  # its macros are enough


def test_too_old_a_gxx_leaves_the_turn_to_clang(toolbox: FakeToolbox) -> None:
    toolbox.compiler("g++", OLD_GCC)
    toolbox.compiler("clang++", CLANG)
    assert find_compiler(toolbox.environ, None).family == "clang"


@pytest.mark.parametrize(
    ("macros", "fails", "message"),
    [
        (OLD_CLANG, "", "is clang 9.0.1, but must be 10.0 or newer"),
        ({}, "", "must be GCC or Clang"),
        (GCC, "ld: cannot find -lstdc++", "cannot find -lstdc++"),
        (GCC, "fatal error: new: No such file", "fatal error: new: No such file"),
    ],
)
def test_every_refusal_gives_its_reason(
    toolbox: FakeToolbox, macros: dict[str, int], fails: str, message: str
) -> None:
    program = toolbox.compiler("g++", macros, fails=fails)
    refusal = _refused(toolbox.environ).refusals[0]
    assert message in refusal
    assert str(program) in refusal


def test_no_compiler_at_all(toolbox: FakeToolbox) -> None:
    error = _refused(toolbox.environ)
    assert [refusal.partition(":")[0] for refusal in error.refusals] == ["g++", "clang++"]
    assert all(str(toolbox.folder) in refusal for refusal in error.refusals)


@pytest.mark.parametrize("macros", [OLD_GCC, {}, None])
def test_the_users_choice_is_never_silently_replaced(
    toolbox: FakeToolbox, macros: dict[str, int] | None
) -> None:
    toolbox.compiler("g++", GCC)
    if macros is not None:
        toolbox.compiler("my++", macros)
    error = _refused({**toolbox.environ, "CXX": "my++"})
    assert len(error.refusals) == 1
    assert error.refusals[0].startswith("my++")


def test_arguments_in_cxx_are_given_each_time_and_are_part_of_the_identity(
    toolbox: FakeToolbox,
) -> None:
    program = toolbox.compiler("my++", GCC)
    found = find_compiler({**toolbox.environ, "CXX": "my++ -m64 '-DA=b c'"}, None)
    assert found.command == (str(program), "-m64", "-DA=b c")
    assert found.identity()["arguments"] == ["-m64", "-DA=b c"]
    assert all(call.startswith("my++ -m64 -DA=b c ") for call in toolbox.calls())


def test_a_path_in_cxx_may_be_relative_and_have_spaces(
    toolbox: FakeToolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe and a build each run in their own folder."""
    program = toolbox.compiler("my g++", GCC, folder=toolbox.folder / "a b")
    monkeypatch.chdir(toolbox.folder)
    for spelled in (f"'{program}'", "'a b/my g++'", "./a' 'b/my' 'g++"):
        found = find_compiler({"PATH": "/none", "CXX": spelled}, None)
        assert found.command == (str(program),)


@pytest.mark.parametrize("chosen", ["ccache g++", "/usr/bin/sccache g++ -m64"])
def test_a_launcher_in_cxx_launches_and_is_not_the_compiler(
    toolbox: FakeToolbox, chosen: str
) -> None:
    """Compiling with or without ccache leads to the same key."""
    program = toolbox.compiler("g++", GCC)
    environ = {**toolbox.environ, "CXX": chosen}
    toolchain = Toolchain.detect(environ)
    assert toolchain.compiler().path == str(program)
    assert toolchain.launcher() == [chosen.split()[0]]
    assert Toolchain.detect({**environ, "ASCEND_OPS_COMPILER_LAUNCHER": "icecc -x"}).launcher() == [
        "icecc",
        "-x",
    ]
    assert Toolchain.detect(toolbox.environ).launcher() == []


def test_a_folder_of_links_to_ccache_is_looked_through(toolbox: FakeToolbox) -> None:
    """/usr/lib/ccache/g++ is ccache: its name, path and date do not identify the compiler."""
    program = toolbox.compiler("g++", GCC)
    masquerade = toolbox.folder / "lib" / "ccache"
    ccache = toolbox.script(toolbox.folder / "real" / "ccache", "exit 1")
    masquerade.mkdir(parents=True)
    (masquerade / "g++").symlink_to(ccache)
    environ = {"PATH": f"{masquerade}{os.pathsep}{os.pathsep}{toolbox.folder}"}
    assert find_compiler(environ, None).command == (str(program),)


def test_tools_that_cannot_be_probed_do_not_matter(toolbox: FakeToolbox) -> None:
    """Clang has its own assembler and may link with lld; the probe compiled and linked."""
    toolbox.compiler("clang++", CLANG)
    (toolbox.folder / "tools" / "as").unlink()
    toolbox.script(toolbox.folder / "tools" / "ld", "true")
    tools = find_compiler(toolbox.environ, None).tools
    assert tools[0].endswith(": none")
    assert tools[1].endswith("ld")


def test_what_native_means(toolbox: FakeToolbox) -> None:
    toolbox.compiler("g++", GCC)
    assert find_compiler(toolbox.environ, None).native_flags(None) == "-march=znver4 -mavx512f"


def test_the_fingerprint_holds_what_the_compiler_reads_from_its_environment(
    toolbox: FakeToolbox,
) -> None:
    toolbox.compiler("g++", GCC)
    plain = Toolchain.detect(toolbox.environ).fingerprint(native=False)
    environ = {**toolbox.environ, "CPATH": "/opt/include", "MAX_JOBS": "2", "PWD": "/x"}
    keyed = Toolchain.detect(environ).fingerprint(native=False)
    assert plain["environment"] == {}
    assert keyed == {**plain, "environment": {"CPATH": "/opt/include"}}


def test_upstream_04_what_native_resolves_to_is_in_the_fingerprint(toolbox: FakeToolbox) -> None:
    """DeepSpeed #1886: SIGILL on a shared home, because no key contained the instruction set."""
    toolbox.compiler("g++", GCC)
    toolchain = Toolchain.detect(toolbox.environ)
    assert "native" not in toolchain.fingerprint(native=False)
    assert toolchain.fingerprint(native=True)["native"] == "-march=znver4 -mavx512f"
