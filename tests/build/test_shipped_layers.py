"""Libraries that were built elsewhere, in the package or in a site's folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sandbox import ANSWER, Sandbox

NATIVE = "native:NativeBuilder"
BUILD_AHEAD = """
sys.path.insert(0, sys.argv[1])
from answer import AnswerBuilder
from op_builder.jit.publish import build_into
from op_builder.cache.layers import Layer
builder = AnswerBuilder()
build_into(builder.plan(), Layer("prebuilt", builder.prebuilt_dir(), shipped=True))
"""
NO_JIT = {"ASCEND_OPS_JIT": "0"}


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine without a compiler and with an empty cache."""
    (tmp_path / "no-programs").mkdir()
    return {
        "PATH": str(tmp_path / "no-programs"),
        "ASCEND_OPS_CACHE_DIR": str(tmp_path / "bare-cache"),
    }


def make_site(sandbox: Sandbox, builder: str = ANSWER) -> Path:
    """Build ``builder``, pack it, and unpack it in a site's folder."""
    sandbox.load(builder)
    site, archive = sandbox.scratch / "site", sandbox.scratch / "ops.tar.gz"
    sandbox.run_cli("cache", "pack", str(archive))
    sandbox.run_cli("cache", "unpack", str(archive), "--site", str(site))
    sandbox.environ["ASCEND_OPS_SITE_CACHE_DIR"] = str(site)
    return site


def edit_manifest(entry: Path, **fields: object) -> None:
    path = entry / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}), encoding="utf-8")


def test_upstream_20_site_filled_by_unpack_works_without_a_compiler(
    sandbox: Sandbox, bare: dict[str, str]
) -> None:
    """DeepSpeed #2947: every machine compiled for 20 minutes."""
    site = make_site(sandbox)
    for path in (*site.rglob("*"), site):
        path.chmod(0o555)
    loaded = sandbox.load(**bare)
    again = sandbox.load(**bare)

    assert loaded.value == again.value == 42
    assert loaded.entry.is_relative_to(site)
    assert loaded.processes == ()
    assert loaded.locks == ()
    assert loaded.stderr == ""
    assert not Path(bare["ASCEND_OPS_CACHE_DIR"]).exists(), "nothing is written either"
    assert sandbox.compiles == 1


def test_upstream_20_site_serves_a_checkout_at_another_path(
    sandbox: Sandbox, bare: dict[str, str], tmp_path: Path
) -> None:
    """DeepSpeed #2947: with another virtual environment and another compiler."""
    site = make_site(sandbox)
    moved = tmp_path / "elsewhere"
    sandbox.project.rename(moved)

    assert sandbox.load(project=moved, **bare).entry.is_relative_to(site)


def test_upstream_20_site_built_from_other_sources_is_refused_with_the_reason(
    sandbox: Sandbox, bare: dict[str, str]
) -> None:
    """DeepSpeed #2947."""
    make_site(sandbox)
    sandbox.edit("include/answer.h", "42", "43")
    stale = sandbox.load(**bare, **NO_JIT)
    sandbox.edit("answer.py", "ADDEND=0", "ADDEND=1")
    other = sandbox.load(**bare, **NO_JIT)

    assert stale.error == other.error == "JitDisabledError"
    assert f"header {sandbox.project}/include/answer.h changed" in stale.message
    assert "ADDEND=0" in other.message
    assert "ADDEND=1" in other.message
    assert sandbox.load().value == 44, "with a compiler it is built"


def test_prebuilt_op_works_without_a_compiler_wherever_the_package_is(
    sandbox: Sandbox, bare: dict[str, str], tmp_path: Path
) -> None:
    sandbox.load(first=BUILD_AHEAD)
    moved = tmp_path / "site-packages"
    shutil.move(sandbox.project, moved)
    shutil.rmtree(sandbox.cache)
    loaded = sandbox.load(project=moved, **bare)

    assert loaded.value == 42
    assert loaded.entry.is_relative_to(moved / "prebuilt")
    assert loaded.processes == ()
    assert sandbox.compiles == 1


def test_an_ahead_of_time_build_copies_what_this_user_has_built(
    sandbox: Sandbox, bare: dict[str, str]
) -> None:
    sandbox.load()
    sandbox.load(first=BUILD_AHEAD)
    assert sandbox.compiles == 1
    loaded = sandbox.load(**bare)
    assert loaded.value == 42
    assert loaded.entry.is_relative_to(sandbox.project / "prebuilt")


@pytest.mark.parametrize("change", ["source", "library"])
def test_an_ahead_of_time_build_compiles_what_is_other_or_damaged(
    sandbox: Sandbox, bare: dict[str, str], change: str
) -> None:
    cached = sandbox.load()
    if change == "source":
        file = sandbox.project / "answer.cpp"
        file.write_text(file.read_text("utf-8") + "// edited\n", encoding="utf-8")
    else:
        library = cached.entry / "answer.so"
        library.write_bytes(library.read_bytes() + b"more")
    sandbox.load(first=BUILD_AHEAD)
    assert sandbox.compiles == 2
    assert sandbox.load(**bare).value == 42


def test_a_truncated_prebuilt_library_is_rebuilt_if_there_is_a_compiler(
    sandbox: Sandbox, bare: dict[str, str]
) -> None:
    sandbox.load(first=BUILD_AHEAD)
    library = next((sandbox.project / "prebuilt").rglob("answer.so"))
    library.write_bytes(library.read_bytes()[:5000])
    refused = sandbox.load(**bare)
    built = sandbox.load()

    assert refused.error == "CompilerNotFoundError"
    assert built.value == 42
    assert built.entry.is_relative_to(sandbox.cache)
    assert library.stat().st_size == 5000, "what was shipped is not touched"


def test_a_shipped_library_that_does_not_load_is_rebuilt_if_jit_is_allowed(
    sandbox: Sandbox, bare: dict[str, str]
) -> None:
    site = make_site(sandbox, "unresolved:UnresolvedBuilder")
    sandbox.forget_entries()
    forbidden = sandbox.load("unresolved:UnresolvedBuilder", **bare, **NO_JIT)
    impossible = sandbox.load("unresolved:UnresolvedBuilder", **bare)
    allowed = sandbox.load("unresolved:UnresolvedBuilder")

    assert forbidden.error == "JitDisabledError"
    assert impossible.error == "LoadError"
    for failed in (forbidden, impossible):
        assert "nobody_defines_this" in failed.message
    assert allowed.error == "LoadError"
    assert str(sandbox.cache) in allowed.facts["path"], "the second attempt was a build"
    assert len(sandbox.entries(site)) == 1


def test_users_entries_are_found_without_a_compiler(sandbox: Sandbox, bare: dict[str, str]) -> None:
    built = sandbox.load()
    hit = sandbox.load(PATH=bare["PATH"])

    assert hit.entry == built.entry
    assert hit.processes == ()


def test_site_that_others_can_write_to_is_passed_over(sandbox: Sandbox) -> None:
    site = make_site(sandbox)
    sandbox.forget_entries()
    site.chmod(0o777)
    refused = sandbox.load(**NO_JIT)

    assert refused.error == "JitDisabledError"
    assert f"chmod go-w {site}" in refused.message
    assert sandbox.load().entry.is_relative_to(sandbox.cache)


def test_upstream_04_what_native_means_is_a_part_of_the_key(sandbox: Sandbox) -> None:
    """DeepSpeed #1886: SIGILL on a home shared by machines with different CPUs."""
    built = sandbox.load(NATIVE)
    manifest = json.loads((built.entry / "manifest.json").read_text(encoding="utf-8"))

    assert manifest["toolchain"]["native"].startswith("-m")
    assert manifest["cpu_features"] != []
    assert sandbox.load(NATIVE).processes == ()


def test_upstream_04_library_for_a_cpu_with_more_is_refused_by_name(
    sandbox: Sandbox, bare: dict[str, str]
) -> None:
    """DeepSpeed #1886: an image may run on another CPU than the one that built it."""
    site = make_site(sandbox, NATIVE)
    (entry,) = sandbox.entries(site)
    features = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))["cpu_features"]
    edit_manifest(entry, cpu_features=[*features, "avx9000", "sme77"])
    refused = sandbox.load(NATIVE, **bare, **NO_JIT)
    sandbox.forget_entries()
    built = sandbox.load(NATIVE)

    assert refused.error == "JitDisabledError"
    assert "a CPU with avx9000 sme77, which this machine lacks" in refused.message
    assert built.entry.is_relative_to(sandbox.cache)
    assert sandbox.compiles == 2


def test_upstream_04_without_a_compiler_the_users_native_entry_is_checked_too(
    sandbox: Sandbox, bare: dict[str, str]
) -> None:
    """DeepSpeed #1886: no compiler can resolve native, so the CPU features decide."""
    entry = sandbox.load(NATIVE).entry
    assert sandbox.load(NATIVE, PATH=bare["PATH"]).value == 42
    edit_manifest(entry, cpu_features=["avx9000"])

    refused = sandbox.load(NATIVE, PATH=bare["PATH"], **NO_JIT)
    assert "avx9000" in refused.message


def test_upstream_21_forbidden_jit_names_the_commands_that_build_the_op(sandbox: Sandbox) -> None:
    """flashinfer #2093, #1828: ops installed ahead of time compiled at run time anyway."""
    refused = sandbox.load(**NO_JIT)

    assert refused.error == "JitDisabledError"
    assert "ascend-ops build answer" in refused.message
    assert "DS_BUILD_ANSWER=1" in refused.message
    assert sandbox.compiles == 0
    assert refused.processes == ()


def test_upstream_21_forbidden_jit_takes_what_is_cached(sandbox: Sandbox) -> None:
    """flashinfer #2093: the switch disables building, not loading."""
    built = sandbox.load()

    assert sandbox.load(**NO_JIT).entry == built.entry
