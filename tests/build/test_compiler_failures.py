"""Compilers that cannot be tried out: which failures mean that there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox
from test_compilers import make_program

# Every call of it writes another warning to standard error.
NOISY = """#!/bin/sh
echo "warning: $$ is a new process" >&2
exec g++ "$@"
"""
# Ends itself while TIMES has lines left.
SHORT_LIVED = """#!/bin/sh
case "$*" in
*probe.cpp*) if [ -s "{times}" ]; then sed -i 1d "{times}"; kill -9 $$; fi ;;
esac
exec g++ "$@"
"""


def test_broken_cxx_does_not_load_the_library_of_another_compiler(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.load()
    broken = make_program(tmp_path / "broken-g++", "#!/bin/sh\necho no license >&2\nexit 1\n")
    for chosen in (str(broken), str(tmp_path / "missing-g++")):
        failed = sandbox.load(CXX=chosen)
        assert failed.error == "CompilerNotFoundError"
        assert chosen in failed.message
    assert "no license" in sandbox.load(CXX=str(broken)).message


def test_c_compiler_is_refused_before_anything_is_compiled(sandbox: Sandbox) -> None:
    """The link of the op failed after 18 s, with an undefined symbol of libstdc++."""
    failed = sandbox.load(CXX="gcc")

    assert failed.error == "CompilerNotFoundError"
    assert "undefined reference" in failed.message
    assert sandbox.compiles == 0


def test_noise_of_a_compiler_is_not_its_identity(sandbox: Sandbox, tmp_path: Path) -> None:
    """A warning that varies made each process rebuild the op."""
    noisy = str(make_program(tmp_path / "noisy-g++", NOISY))
    built = sandbox.load(CXX=noisy)
    again = sandbox.load(CXX=noisy)

    assert built.value == again.value == 42
    assert built.entry == again.entry
    assert sandbox.compiles == 1


@pytest.mark.parametrize("times", [1, 100])
def test_compiler_that_is_killed_while_it_is_tried_out_is_not_missing(
    sandbox: Sandbox, tmp_path: Path, times: int
) -> None:
    """It was reported as "not found, install one"."""
    left = tmp_path / "times"
    left.write_text("again\n" * times, encoding="utf-8")
    compiler = make_program(tmp_path / "dying-g++", SHORT_LIVED.format(times=left))
    loaded = sandbox.load(CXX=str(compiler))

    if times == 1:
        assert loaded.value == 42
    else:
        assert loaded.error == "BuildError"
        assert loaded.facts["kind"] == "killed"
        assert "SIGKILL" in loaded.message
        assert str(compiler) in loaded.message
