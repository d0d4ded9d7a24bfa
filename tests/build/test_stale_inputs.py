"""Files besides sources and headers that decide a library, and files that change during a build."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sandbox import Sandbox
from test_compilers import make_program

ANSWER = 'extern "C" __attribute__((visibility("default"))) int answer()'
CALLS = f'extern "C" int from_archive(); {ANSWER} {{ return from_archive(); }}\n'
INCLUDES_BINARY = r"""
asm(".pushsection .rodata\n.globl blob\n.hidden blob\nblob: .incbin \"source/blob\"\n.popsection");
extern "C" const char blob[];
extern "C" __attribute__((visibility("default"))) int answer() { return blob[0] - '0'; }
"""
AHEAD = "import time; real = time.time_ns; time.time_ns = lambda: real() + 10**10"


def make_object(file: Path, value: int) -> Path:
    """Compile ``from_archive()``, which returns ``value``."""
    text = f'extern "C" int from_archive() {{ return {value}; }}'
    command = ["g++", "-fPIC", "-c", "-x", "c++", "-", "-o", str(file)]
    subprocess.run(command, input=text, text=True, check=True)
    return file


def make_archive(file: Path, value: int) -> None:
    """Write a static archive of such an object."""
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    made = make_object(file.with_suffix(".o"), value)
    subprocess.run(["ar", "rcs", str(file), str(made)], check=True)
    made.unlink()


def link_with(sandbox: Sandbox, *flags: str, source: str = CALLS) -> None:
    """Let the op be linked with ``flags``."""
    sandbox.edit("answer.py", '["-Wl,--hash-style=gnu"]', repr(list(flags)))
    (sandbox.project / "answer.cpp").write_text(source, encoding="utf-8")


@pytest.mark.parametrize("way", ["-L", "LIBRARY_PATH", "path", "object"])
def test_a_changed_link_input_is_seen(sandbox: Sandbox, tmp_path: Path, way: str) -> None:
    archive = tmp_path / "libraries/libarchive.a"
    folder = str(archive.parent)
    environ = {"LIBRARY_PATH": folder} if way == "LIBRARY_PATH" else {}
    flags = {
        "-L": [f"-L{folder}", "-larchive"],
        "LIBRARY_PATH": ["-larchive"],
        "path": [str(archive)],
        "object": ["source/made.o"],
    }

    def make(value: int) -> None:
        make_archive(archive, value)
        make_object(sandbox.project / "made.o", value)

    make(1)
    link_with(sandbox, *flags[way])
    first = sandbox.load(**environ)
    assert sandbox.load(**environ).processes == ()
    make(2)
    second = sandbox.load(**environ)
    make(1)
    third = sandbox.load(**environ)

    assert [first.value, second.value, third.value] == [1, 2, 1]
    assert third.entry == first.entry


@pytest.mark.parametrize("flag", ["-Wl,-T,{}", "-Wl,--version-script={}"])
def test_a_changed_linker_script_is_seen(sandbox: Sandbox, tmp_path: Path, flag: str) -> None:
    script = tmp_path / "script"
    texts = {"-Wl,-T,{}": "SECTIONS {{ .text : {{ *(.text*) }} /* {} */ }} INSERT AFTER .init;"}
    text = texts.get(flag, "{{ global: *; }}; # {}")
    script.write_text(text.format(1), encoding="utf-8")
    link_with(sandbox, flag.format(script), source=f"{ANSWER} {{ return 1; }}")
    first = sandbox.load()
    assert sandbox.load().processes == ()
    script.write_text(text.format(2), encoding="utf-8")

    assert sandbox.load().entry != first.entry


def test_a_changed_file_that_the_assembler_includes_is_seen(sandbox: Sandbox) -> None:
    (sandbox.project / "answer.cpp").write_text(INCLUDES_BINARY, encoding="utf-8")
    values = []
    for content in ("1", "2", "1"):
        (sandbox.project / "blob").write_text(content, encoding="utf-8")
        values.append(sandbox.load().value)

    assert values == [1, 2, 1]
    assert sandbox.load().processes == ()


@pytest.mark.parametrize("drop", ["rm -f objects/*.d", 'echo "a.o: b.cpp" >objects/answer.cpp.o.d'])
def test_a_launcher_that_drops_the_list_of_headers_is_refused(
    sandbox: Sandbox, tmp_path: Path, drop: str
) -> None:
    launcher = make_program(tmp_path / "drops", f'#!/bin/sh\n"$@" && {drop}\n')
    failed = sandbox.load(ASCEND_OPS_COMPILER_LAUNCHER=str(launcher))

    assert failed.error == "BuildError"
    assert "answer.cpp" in failed.message
    assert "headers" in failed.message
    assert sandbox.entries() == []


def change_during_compile(sandbox: Sandbox, before: str, after: str) -> dict[str, str]:
    """Return the launcher that runs shell commands around the first compile."""
    project, once = sandbox.project, sandbox.scratch / "once"
    launcher = make_program(
        sandbox.scratch / "changes",
        f'#!/bin/sh\nif [ -e {once} ]; then exec "$@"; fi\n: >{once}\ncd {project}; {before}\n'
        f'cd "$OLDPWD"; "$@"; status=$?\ncd {project}; {after}\nexit $status\n',
    )
    return {"ASCEND_OPS_COMPILER_LAUNCHER": str(launcher)}


def test_a_source_that_is_another_during_the_compile_only_is_compiled_again(
    sandbox: Sandbox,
) -> None:
    environ = change_during_compile(
        sandbox,
        "cp -p answer.cpp kept; echo 'extern \"C\" int answer() { return 1; }' >answer.cpp",
        "cat kept >answer.cpp; touch -r kept answer.cpp",
    )

    assert sandbox.load(**environ).value == 42
    assert sandbox.load().value == 42


CHANGES = [
    pytest.param("pass", ":", "echo '#define ANSWER 43' >include/answer.h", id="header"),
    pytest.param(AHEAD, ":", "echo '#define ANSWER 43' >include/answer.h", id="clock-ahead"),
    pytest.param("pass", ":", "mv include old; mv include2 include", id="folder-renamed"),
    pytest.param("pass", ":", "ln -sfn include2 link", id="link-switched"),
]


@pytest.mark.parametrize("linked", [False, True], ids=["folder", "link"])
@pytest.mark.parametrize(("first", "before", "after"), CHANGES)
def test_a_header_changed_after_it_was_compiled_is_compiled_again(
    sandbox: Sandbox, first: str, before: str, after: str, linked: bool
) -> None:
    (sandbox.project / "include2").mkdir()
    (sandbox.project / "include2/answer.h").write_text("#define ANSWER 43\n", encoding="utf-8")
    if linked or "link" in after:
        (sandbox.project / "link").symlink_to("include")
        sandbox.edit("answer.py", '["include"]', '["link"]')
    environ = change_during_compile(sandbox, before, after)
    built = sandbox.load(first=first, **environ)
    hit = sandbox.load()

    assert (built.value, hit.value) == (43, 43)
    assert hit.entry == built.entry


def test_a_link_that_is_switched_during_the_compile_and_back_is_noticed(sandbox: Sandbox) -> None:
    (sandbox.project / "include2").mkdir()
    (sandbox.project / "include2/answer.h").write_text("#define ANSWER 43\n", encoding="utf-8")
    (sandbox.project / "link").symlink_to("include")
    sandbox.edit("answer.py", '["include"]', '["link"]')
    environ = change_during_compile(sandbox, "ln -sfn include2 link", "ln -sfn include link")

    assert sandbox.load(**environ).value == 42
    assert sandbox.load().value == 42


def test_a_folder_that_is_renamed_during_the_compile_and_back_is_noticed(sandbox: Sandbox) -> None:
    (sandbox.project / "include2").mkdir()
    (sandbox.project / "include2/answer.h").write_text("#define ANSWER 43\n", encoding="utf-8")
    environ = change_during_compile(
        sandbox, "mv include kept; mv include2 include", "mv include include2; mv kept include"
    )

    assert sandbox.load(**environ).value == 42
    assert sandbox.load().value == 42


def test_a_compiler_that_is_replaced_during_the_compile_is_noticed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    text = '#!/bin/sh\nexec g++ "$@" -UADDEND -DADDEND={}\n'
    wrapper = make_program(tmp_path / "wrapper", text.format(1))
    (sandbox.project / "other").write_text(text.format(2), encoding="utf-8")
    environ = change_during_compile(sandbox, f"cat other >{wrapper}", ":")
    failed = sandbox.load(CXX=str(wrapper), **environ)

    assert failed.error == "BuildError"
    assert "the compiler changed during the build" in failed.message
    assert sandbox.load(CXX=str(wrapper)).value == 44
