"""Compilers and launchers as they occur on real machines."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from sandbox import Sandbox

OLD = """#!/bin/sh
echo "$*" >>"$CXX_LOG"
case "$*" in
*-dM*) printf '#define __GNUC__ 7\\n#define __GNUC_MINOR__ 3\\n#define __GNUC_PATCHLEVEL__ 0\\n' ;;
*) exec g++ "$@" ;;
esac
"""
WRAPPED = """#!/bin/sh
echo "$*" >>"$CXX_LOG"
exec g++ "$@"
"""

needs_ccache = pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")


def make_program(path: Path, text: str) -> Path:
    """Create an executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def only(folder: Path, programs: Iterable[str]) -> str:
    """Return a PATH that contains only links to ``programs``."""
    folder.mkdir()
    for name in programs:
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def test_upstream_16_too_old_compiler_is_found_before_anything_is_compiled(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """DeepSpeed #7143, #5429, #3221: it failed in the middle of the build."""
    old = make_program(tmp_path / "old-g++", OLD)
    log = tmp_path / "cxx"
    failed = sandbox.load(CXX=str(old), CXX_LOG=str(log))

    assert failed.error == "CompilerNotFoundError"
    for part in (
        str(old),
        "gcc 7.3.0",
        "must be 9.0 or newer",
        "dnf install gcc-c++",
        "apt-get install",
    ):
        assert part in failed.message
    assert len(log.read_text(encoding="utf-8").splitlines()) == 1, "only its version was queried"
    assert sandbox.compiles == 0
    assert sandbox.staged() == []


def test_upstream_16_the_chosen_compiler_is_not_replaced_by_another(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """DeepSpeed #5429: g++ would work, but a user who sets CXX must learn that theirs does not."""
    assert sandbox.load(CXX=str(tmp_path / "no-g++")).error == "CompilerNotFoundError"
    assert sandbox.load(CXX="false").error == "CompilerNotFoundError"


def test_no_compiler_at_all_lists_what_was_looked_for(sandbox: Sandbox, tmp_path: Path) -> None:
    failed = sandbox.load(PATH=only(tmp_path / "bin", []))

    assert failed.error == "CompilerNotFoundError"
    assert "g++: not found on PATH" in failed.message
    assert "clang++: not found on PATH" in failed.message


def test_upstream_15_ninja_need_not_be_on_path(sandbox: Sandbox, tmp_path: Path) -> None:
    """DeepSpeed #1687, #1644: it is missing on the PATH of services and notebooks."""
    path = only(tmp_path / "bin", ["g++", "as", "ld", "sh", "sleep"])
    assert shutil.which("ninja", path=path) is None

    assert sandbox.load(PATH=path).value == 42


def test_upstream_15_a_broken_ninja_on_path_is_not_used(sandbox: Sandbox, tmp_path: Path) -> None:
    """DeepSpeed #1644: an old ninja of the distribution comes first."""
    make_program(tmp_path / "bin/ninja", "#!/bin/sh\nexit 1\n")

    assert sandbox.load(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}").value == 42


def test_script_that_wraps_a_compiler_is_used_and_keyed_as_what_it_runs(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A script may run any compiler, so each process probes it; a rebuild is not necessary."""
    wrapper = make_program(tmp_path / "wrapper", WRAPPED)
    log = {"CXX": str(wrapper), "CXX_LOG": str(tmp_path / "cxx")}
    built = sandbox.load(**log)
    hit = sandbox.load(**log)

    assert built.entry == hit.entry
    assert sandbox.compiles == 1
    assert "-shared" in (tmp_path / "cxx").read_text(encoding="utf-8"), "it is also what links"


def test_compiler_that_was_upgraded_is_another_key(sandbox: Sandbox, tmp_path: Path) -> None:
    wrapper = make_program(tmp_path / "wrapper", WRAPPED)
    log = {"CXX": str(wrapper), "CXX_LOG": str(tmp_path / "cxx")}
    before = sandbox.load(**log)
    make_program(wrapper, OLD.replace("__GNUC__ 7", "__GNUC__ 99"))
    after = sandbox.load(**log)

    assert before.entry != after.entry
    assert sandbox.compiles == 2


@needs_ccache
@pytest.mark.parametrize(
    "environ",
    [{"ASCEND_OPS_COMPILER_LAUNCHER": "ccache"}, {"CXX": "ccache g++"}],
    ids=["launcher", "CXX"],
)
def test_ccache_compiles_once_and_reports_every_header(
    sandbox: Sandbox, tmp_path: Path, environ: dict[str, str]
) -> None:
    sandbox.environ["ASCEND_OPS_COMPILER_LAUNCHER"] = ""
    environ = {"CCACHE_DIR": str(tmp_path / "ccache"), **environ}
    first = sandbox.load(**environ)
    sandbox.forget_entries()
    from_ccache = sandbox.load(**environ)
    statistics = subprocess.run(
        ["ccache", "--print-stats"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    counts = dict(zip(statistics[::2], statistics[1::2], strict=True))

    assert first.entry == from_ccache.entry
    hits = int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])
    assert (hits, int(counts["cache_miss"])) == (1, 1)
    sandbox.edit("include/answer.h", "42", "43")
    assert sandbox.load(**environ).value == 43


@pytest.mark.parametrize(
    ("name", "identity", "settings"),
    [
        ("ccache", "CCACHE_COMPILERCHECK", {"CCACHE_NODIRECT=1", "CCACHE_SLOPPINESS="}),
        ("sccache", "SCCACHE_C_CUSTOM_CACHE_BUSTER", {"SCCACHE_DIRECT=false"}),
    ],
)
def test_a_launcher_that_stores_objects_is_told_what_the_key_knows_of_the_toolchain(
    sandbox: Sandbox, tmp_path: Path, name: str, identity: str, settings: set[str]
) -> None:
    seen = tmp_path / "seen"
    store = make_program(tmp_path / "bin" / name, f'#!/bin/sh\nenv >>{seen}\nexec "$@"\n')
    script = '#!/bin/sh\nexec g++ "$@" -UADDEND -DADDEND="${BONUS:-0}"\n'
    wrapper = str(make_program(tmp_path / "wrapper", script))
    sandbox.environ["ASCEND_OPS_COMPILER_LAUNCHER"] = str(store)
    sandbox.environ["CCACHE_SLOPPINESS"] = "file_macro"
    told = []
    for bonus in ("1", "2", "1"):
        sandbox.forget_entries()
        assert sandbox.load(CXX=wrapper, BONUS=bonus).value == 42 + int(bonus)
        lines = seen.read_text(encoding="utf-8").splitlines()
        seen.unlink()
        told += [line for line in lines if line.startswith(f"{identity}=")]
        assert settings <= {*lines}

    assert len(told) == 3
    assert told[0] == told[2] != told[1]


@needs_ccache
def test_ccache_takes_no_object_of_another_toolchain(sandbox: Sandbox, tmp_path: Path) -> None:
    """It knows the content of a wrapper script, but not the variables that the script reads."""
    sandbox.environ["ASCEND_OPS_COMPILER_LAUNCHER"] = "ccache"
    script = '#!/bin/sh\nexec g++ "$@" -UADDEND -DADDEND="${BONUS:-0}"\n'
    wrapper = str(make_program(tmp_path / "wrapper", script))
    environ = {"CCACHE_DIR": str(tmp_path / "ccache"), "CXX": wrapper}

    assert [sandbox.load(**environ, BONUS=bonus).value for bonus in ("1", "2", "1")] == [43, 44, 43]


@needs_ccache
@pytest.mark.parametrize("setting", [{}, {"CCACHE_DEPEND": "1", "CCACHE_DIRECT": "1"}])
def test_ccache_takes_no_object_of_before_a_header_appeared(
    sandbox: Sandbox, tmp_path: Path, setting: dict[str, str]
) -> None:
    """Its direct mode compares the headers that were found, not those that are found now."""
    sandbox.environ["ASCEND_OPS_COMPILER_LAUNCHER"] = "ccache"
    environ = {"CCACHE_DIR": str(tmp_path / "ccache"), **setting}
    first = sandbox.load(**environ)
    (sandbox.project / "answer.h").write_text("#define ANSWER 43\n", encoding="utf-8")
    second = sandbox.load(**environ)

    assert [first.value, second.value] == [42, 43]


def test_launcher_is_not_part_of_the_key(sandbox: Sandbox) -> None:
    first = sandbox.load()
    second = sandbox.load(ASCEND_OPS_COMPILER_LAUNCHER="")

    assert second.entry == first.entry
    assert second.processes == ()
