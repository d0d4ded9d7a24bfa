"""Files that flags name, in ops and in CXX: a change rebuilds, or the flag is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sandbox import Sandbox
from test_stale_tools import altered, real

SPECS = "*cc1plus:\n+ -UADDEND -DADDEND={}\n\n"


@pytest.mark.parametrize("place", ["cxx_args", "CXX"])
@pytest.mark.parametrize(
    ("flag", "text"),
    [("@{}", "-UADDEND -DADDEND={}"), ("-specs={}", SPECS), ("-include{}", "#define BONUS {}\n")],
    ids=["response-file", "specs", "include"],
)
def test_a_changed_file_that_a_flag_names_is_seen(
    sandbox: Sandbox, tmp_path: Path, place: str, flag: str, text: str
) -> None:
    file = tmp_path / "named"
    sandbox.edit("answer.cpp", "ANSWER + ADDEND", "ANSWER + ADDEND + BONUS")
    sandbox.edit("answer.cpp", "#include", "#ifndef BONUS\n#define BONUS 0\n#endif\n#include")
    if flag.startswith("@"):  # the last one on the command line decides
        text = text.replace("ADDEND", "BONUS")
    environ = {}
    if place == "CXX":
        environ["CXX"] = f"g++ {flag.format(file)}"
    else:
        sandbox.edit("answer.py", '"-DADDEND=0"', f'"-DADDEND=0", {flag.format(file)!r}')
    found = []
    for value in (1, 2, 1):
        file.write_text(text.format(value), encoding="utf-8")
        found.append(sandbox.load(**environ))

    assert [outcome.value for outcome in found] == [43, 44, 43]
    assert found[2].entry == found[0].entry
    assert found[2].processes == () or place == "CXX"  # its memo waits until the file is settled


def test_a_changed_assembler_behind_the_prefix_in_cxx_is_seen(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    environ = {"CXX": f"g++ -B{tmp_path}/tools/"}
    (tmp_path / "tools").mkdir()
    found = [sandbox.load(**environ)]
    for extra in (b"", b"\0"):
        altered(real("as"), tmp_path / "tools/as", extra)
        found.append(sandbox.load(**environ))
    shutil.rmtree(tmp_path / "tools")
    found.append(sandbox.load(**environ))

    assert [outcome.value for outcome in found] == [42] * 4
    assert found[1].entry != found[2].entry
    assert found[3].entry == found[0].entry


def test_an_assembler_whose_name_begins_with_the_prefix_in_cxx_is_seen(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    environ = {"CXX": f"g++ -B{tmp_path}/cross-"}
    before = sandbox.load(**environ)
    altered(real("as"), tmp_path / "cross-as", b"\0")

    assert sandbox.load(**environ).entry != before.entry


@pytest.mark.parametrize("flag", ["-MMD", "-wrapper", "-B/opt", "-specs=nosys.specs"])
def test_a_flag_whose_files_cannot_be_known_is_refused_by_name(sandbox: Sandbox, flag: str) -> None:
    sandbox.edit("answer.py", '"-DADDEND=0"', f'"-DADDEND=0", {flag!r}, "env"')
    failed = sandbox.load()

    assert failed.error is not None
    assert f"answer: cxx_args must not contain {flag!r}: " in failed.message
    assert sandbox.compiles == 0
