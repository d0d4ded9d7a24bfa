"""Which ops an install builds, and how an impossible one fails it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_up_builders import ImpossibleBuilder, MadeUpBuilder
from setuptools import Distribution

from op_builder import setuptools_command
from op_builder.errors import (
    BuildError,
    CompilerNotFoundError,
    EnvironmentVariableError,
    IncompatibleOpError,
)
from op_builder.jit.plan import Plan
from op_builder.setuptools_command import BuildOps, OpExtension, requested_extensions

OPS = (MadeUpBuilder, ImpossibleBuilder)


@pytest.fixture(autouse=True)
def in_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat the builders' module as a package."""
    inside = Path("/src/made_up_builders/prebuilt")
    monkeypatch.setattr(MadeUpBuilder, "prebuilt_dir", lambda self: inside)


def _requested(**environ: str) -> dict[str, bool]:
    """Return, per op, whether it was requested by name."""
    found = requested_extensions(OPS, environ)
    assert all(isinstance(extension, OpExtension) for extension in found)
    return {extension.builder.NAME: extension.by_name for extension in found}  # type: ignore[attr-defined]


@pytest.mark.parametrize("all_ops", [None, "", "0", "1"])
@pytest.mark.parametrize("one_op", [None, "", "0", "1"])
def test_the_ops_own_variable_decides_before_the_one_for_all(
    all_ops: str | None, one_op: str | None
) -> None:
    given = {"DS_BUILD_OPS": all_ops, "DS_BUILD_MADE_UP": one_op}
    found = _requested(**{name: value for name, value in given.items() if value is not None})
    expected = {}
    if one_op == "1" or (one_op != "0" and all_ops == "1"):
        expected["made_up"] = one_op == "1"
    if all_ops == "1":
        expected["impossible"] = False
    assert found == expected


def test_an_op_that_is_built_only_by_name_is_not_part_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An image for real NPUs does not need the emulated one."""
    monkeypatch.setattr(MadeUpBuilder, "ONLY_BY_NAME", True)
    assert "made_up" not in _requested(DS_BUILD_OPS="1")
    assert _requested(DS_BUILD_OPS="1", DS_BUILD_MADE_UP="1")["made_up"]


def test_the_processs_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert requested_extensions(OPS) == []
    monkeypatch.setenv("DS_BUILD_MADE_UP", "1")
    (extension,) = requested_extensions(OPS)
    assert extension.name == "made_up_builders.made_up"


@pytest.mark.parametrize("name", ["DS_BUILD_OPS", "DS_BUILD_MADE_UP"])
def test_a_value_that_is_not_a_switch_is_an_error(name: str) -> None:
    with pytest.raises(EnvironmentVariableError, match=f"{name} must be 0 or 1, got 'yess'"):
        _requested(**{name: "yess"})


def _command(*extensions: OpExtension) -> BuildOps:
    command = BuildOps(Distribution({"ext_modules": list(extensions)}))
    command.build_lib = "/build/lib"
    command.inplace = False
    command.extensions = list(extensions)
    return command


def test_upstream_19_an_impossible_op_requested_by_name_ends_the_install() -> None:
    """DeepSpeed #1343, #8480, #8484, #6920: it was skipped silently."""
    extension = OpExtension(ImpossibleBuilder(), by_name=True)
    with pytest.raises(SystemExit) as caught:
        _command(extension).build_extension(extension)
    message = str(caught.value)
    assert message.startswith("error: DS_BUILD_IMPOSSIBLE=1, but impossible cannot be built")
    assert "there is no NPU" in message
    assert "the moon is full" in message


def test_upstream_19_an_impossible_op_requested_with_all_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DeepSpeed #1343."""
    warnings: list[str] = []
    extension = OpExtension(ImpossibleBuilder())
    command = _command(extension)
    monkeypatch.setattr(command, "warn", warnings.append)
    command.build_extension(extension)
    (message,) = warnings
    assert message.startswith("skipped: impossible cannot be built")
    assert "the moon is full" in message


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        BuildError("made_up", "a.cpp:1: error: no", "g++ a.cpp", None),
        CompilerNotFoundError("a compiler", ["g++: too old"], "Install one."),
    ],
)
def test_a_build_that_fails_ends_the_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_name: bool, error: Exception
) -> None:
    def build_into(plan: Plan, layer: Any) -> None:
        raise error

    (tmp_path / "a.cpp").write_bytes(b"")
    monkeypatch.setattr(MadeUpBuilder, "root", tmp_path)
    monkeypatch.setattr(setuptools_command, "build_into", build_into)
    extension = OpExtension(MadeUpBuilder(), by_name=by_name)
    with pytest.raises(SystemExit) as caught:
        _command(extension).build_extension(extension)
    assert str(caught.value) == f"error: {error}"
    assert not isinstance(error, IncompatibleOpError)


@pytest.mark.parametrize(
    ("prebuilt", "place"),
    [
        ("/src/made_up_builders/prebuilt", "made_up_builders/prebuilt"),
        ("/made_up_builders/src/made_up_builders/ops/prebuilt", "made_up_builders/ops/prebuilt"),
    ],
)
def test_a_wheel_gets_it_at_its_place_in_the_package(
    monkeypatch: pytest.MonkeyPatch, prebuilt: str, place: str
) -> None:
    monkeypatch.setattr(MadeUpBuilder, "prebuilt_dir", lambda self: Path(prebuilt))
    command = _command()
    assert command._prebuilt_root(MadeUpBuilder()) == Path("/build/lib", place)
    command.inplace = True
    assert command._prebuilt_root(MadeUpBuilder()) == Path(prebuilt)


def test_an_op_that_no_package_would_carry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MadeUpBuilder, "prebuilt_dir", lambda self: Path("/site/prebuilt"))
    with pytest.raises(SystemExit, match="must be inside the package made_up_builders"):
        _command()._prebuilt_root(MadeUpBuilder())


def test_builder_hands_out_the_extension() -> None:
    """DeepSpeed calls the method ``builder`` too."""
    extension = MadeUpBuilder().builder()
    assert isinstance(extension, OpExtension)
    assert (extension.name, extension.sources) == ("made_up_builders.made_up", [])
