"""A memoized hit reads no source and no manifest, and whatever changes, it is never stale."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import ANSWER, Outcome, Sandbox
from test_compilers import make_program

# Treat every file as unchanged for long, as if the test had waited.
SETTLED = "from op_builder.system import file_identity; file_identity._SETTLED_NS = -(10**12)"
ADDS_ONE = '#!/bin/sh\nexec {} "$@" -UADDEND -DADDEND=1\n'
STABLE = "stable_answer:StableAnswerBuilder"


def load(sandbox: Sandbox, builder: str = ANSWER, **arguments: str) -> Outcome:
    """Load an op; none of its files counts as young."""
    before = f"{arguments.pop('before', 'pass')}; {SETTLED}"
    return sandbox.load(builder, first=before, **arguments)


def is_memoized(outcome: Outcome) -> bool:
    """Return whether a load found the library without a search."""
    names = {Path(file).name for file in outcome.read}
    return "manifest.json" not in names and not any(name.endswith(".cpp") for name in names)


def memoize(sandbox: Sandbox, builder: str = ANSWER, **arguments: str) -> Outcome:
    """Load an op until its hit is memoized, and return the last load."""
    built = load(sandbox, builder, **arguments)
    searched = load(sandbox, builder, **arguments)
    found = load(sandbox, builder, **arguments)
    assert [is_memoized(each) for each in (built, searched, found)] == [False, False, True]
    assert found.library == searched.library == built.library
    assert (found.processes, found.locks, found.written) == ((), (), ())
    return found


@pytest.mark.parametrize(
    ("builder", "before"), [(ANSWER, "pass"), (STABLE, "import torch")], ids=["ctypes", "stable"]
)
def test_the_third_load_of_an_op_searches_for_nothing(
    sandbox: Sandbox, builder: str, before: str
) -> None:
    assert memoize(sandbox, builder, before=before).value == 42
    assert sandbox.compiles == 1


def edit_source(sandbox: Sandbox) -> dict[str, str]:
    sandbox.edit("answer.cpp", "ANSWER", "1 + ANSWER")
    return {}


def edit_header(sandbox: Sandbox) -> dict[str, str]:
    sandbox.edit("include/answer.h", "42", "43")
    return {}


def edit_declaration(sandbox: Sandbox) -> dict[str, str]:
    sandbox.edit("answer.py", "-DADDEND=0", "-DADDEND=1")
    return {}


def add_header_found_earlier(sandbox: Sandbox) -> dict[str, str]:
    (sandbox.project / "answer.h").write_text("#define ANSWER 43\n", encoding="utf-8")
    return {}


def add_compiler_found_earlier(sandbox: Sandbox) -> dict[str, str]:
    make_program(sandbox.scratch / "bin/g++", ADDS_ONE.format(shutil.which("g++")))
    return {}


def replace_header_by_an_old_file(sandbox: Sandbox) -> dict[str, str]:
    old = sandbox.scratch / "old.h"
    old.write_text("#define ANSWER 43\n", encoding="utf-8")
    header = sandbox.project / "include/answer.h"
    os.utime(old, ns=(header.stat().st_atime_ns, header.stat().st_mtime_ns))
    old.rename(header)
    return {}


def set_compiler_variable(sandbox: Sandbox) -> dict[str, str]:
    folder = sandbox.scratch / "searched"
    folder.mkdir()
    (folder / "answer.h").write_text("#define ANSWER 43\n", encoding="utf-8")
    sandbox.edit("answer.cpp", '"answer.h"', "<answer.h>")
    sandbox.edit("answer.py", '["include"]', "[]")
    return {"CPLUS_INCLUDE_PATH": str(folder)}


def choose_compiler(sandbox: Sandbox) -> dict[str, str]:
    wrapper = sandbox.scratch / "wrapper"
    make_program(wrapper, ADDS_ONE.format("g++"))
    return {"CXX": str(wrapper)}


CHANGES = [
    edit_source,
    edit_header,
    edit_declaration,
    add_header_found_earlier,
    add_compiler_found_earlier,
    replace_header_by_an_old_file,
    set_compiler_variable,
    choose_compiler,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_ends_a_memoized_hit(
    sandbox: Sandbox, change: Callable[[Sandbox], dict[str, str]]
) -> None:
    (sandbox.scratch / "bin").mkdir()
    path = {"PATH": f"{sandbox.scratch}/bin:{os.environ['PATH']}"}
    memoize(sandbox, **path)
    changed = load(sandbox, **path, **change(sandbox))

    assert changed.value == 43
    assert not is_memoized(changed)


def edit_script(script: Path) -> dict[str, str]:
    make_program(script, ADDS_ONE.format("g++"))
    return {}


def set_variable_of_the_script(script: Path) -> dict[str, str]:
    return {"ADDED": "1"}


@pytest.mark.parametrize("change", [edit_script, set_variable_of_the_script])
def test_a_script_as_compiler_is_memoized_with_the_variables_that_it_mentions(
    sandbox: Sandbox, change: Callable[[Path], dict[str, str]]
) -> None:
    script = sandbox.scratch / "wrapper"
    make_program(script, '#!/bin/sh\nexec g++ "$@" -UADDEND -DADDEND=$((ADDED))\n')
    memoize(sandbox, CXX=str(script))
    changed = load(sandbox, CXX=str(script), **change(script))

    assert changed.value == 43
    assert not is_memoized(changed)


@pytest.mark.parametrize("command", ["{}/wrapper -DUNUSED=1", "wrapper"])
def test_a_script_that_is_not_named_by_its_path_alone_is_searched_for(
    sandbox: Sandbox, command: str
) -> None:
    script = sandbox.scratch / "wrapper"
    make_program(script, '#!/bin/sh\nexec g++ "$@" -UADDEND -DADDEND=$((ADDED))\n')
    variables = {
        "CXX": command.format(sandbox.scratch),
        "PATH": f"{sandbox.scratch}:{os.environ['PATH']}",
    }
    loads = [load(sandbox, **variables) for _ in range(3)]

    assert not any(map(is_memoized, loads))
    assert load(sandbox, **variables, ADDED="1").value == 43


def test_a_young_file_is_not_memoized(sandbox: Sandbox) -> None:
    sandbox.load()
    sandbox.load()
    assert not is_memoized(sandbox.load())


def cut(memo: Path) -> None:
    os.truncate(memo, 100)


def other_fact(memo: Path) -> None:
    (content,) = json.loads(memo.read_text(encoding="utf-8"))
    memo.write_text(json.dumps([{**content, "fact": {"name": "answer"}}]), encoding="utf-8")


def writable_by_others(memo: Path) -> None:
    memo.chmod(0o666)


def in_a_folder_that_others_can_write_to(memo: Path) -> None:
    memo.parent.chmod(0o777)


@pytest.mark.parametrize(
    "damage", [cut, other_fact, writable_by_others, in_a_folder_that_others_can_write_to]
)
def test_an_odd_memo_is_ignored(sandbox: Sandbox, damage: Callable[[Path], None]) -> None:
    memoize(sandbox)
    (memo,) = (sandbox.cache / "hits").iterdir()
    damage(memo)
    searched = load(sandbox)

    assert searched.value == 42
    assert not is_memoized(searched)


def appended(library: Path) -> None:
    library.write_bytes(library.read_bytes() + b"\0")


def with_another_byte_and_the_old_times(library: Path) -> None:
    before = library.stat()
    content = library.read_bytes()
    library.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(library, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_another_file(library: Path) -> None:
    before = library.stat()
    changed = library.with_name("changed")
    changed.write_bytes(bytes(before.st_size))
    changed.chmod(before.st_mode)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed.rename(library)


@pytest.mark.parametrize(
    "damage", [appended, with_another_byte_and_the_old_times, replaced_by_another_file]
)
def test_a_damaged_library_is_not_loaded_by_a_memo(
    sandbox: Sandbox, damage: Callable[[Path], None]
) -> None:
    found = memoize(sandbox)
    assert found.library is not None
    damage(found.library)

    assert load(sandbox).value == 42
    assert sandbox.compiles == 2


def test_an_unchanged_library_is_hashed_by_a_search_only(sandbox: Sandbox) -> None:
    memoize(sandbox)
    hashed = "from op_builder.system import file_identity; file_identity.digest_descriptor = None"

    assert load(sandbox, before=hashed).value == 42
    (memo,) = (sandbox.cache / "hits").iterdir()
    memo.unlink()
    with pytest.raises(AssertionError, match="NoneType"):  # a search hashes
        load(sandbox, before=hashed)


def test_an_entry_in_an_earlier_layer_is_preferred(sandbox: Sandbox, tmp_path: Path) -> None:
    memoize(sandbox)
    archive, site = tmp_path / "ops.tar.gz", tmp_path / "site"
    sandbox.run_cli("cache", "pack", str(archive))
    sandbox.run_cli("cache", "unpack", str(archive), "--site", str(site))
    environ = {"ASCEND_OPS_SITE_CACHE_DIR": str(site)}
    loads = [load(sandbox, **environ) for _ in range(3)]

    assert [site in each.entry.parents for each in loads] == [True] * 3
    assert [is_memoized(each) for each in loads] == [False, True, True]


def test_a_builder_that_derives_more_itself_is_searched_for(sandbox: Sandbox) -> None:
    """Whatever decides in an override is unknown."""
    override = "def compatibility(self, toolchain): return super().compatibility(toolchain)"
    sandbox.edit("answer.py", "    def sources", f"    {override}\n    def sources")
    loads = [load(sandbox) for _ in range(3)]

    assert not any(map(is_memoized, loads))


def test_old_memos_are_pruned(sandbox: Sandbox) -> None:
    memoize(sandbox)
    (memo,) = (sandbox.cache / "hits").iterdir()
    long_ago = time.time() - 90 * 86_400
    os.utime(memo, (long_ago, long_ago))
    sandbox.run_cli("cache", "prune", "--days", "30")

    assert not memo.exists()
    assert load(sandbox).value == 42
    assert sandbox.compiles == 1
