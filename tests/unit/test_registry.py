"""Ops of other packages: found by entry point, and isolated from each other's errors."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from made_up_builders import SOURCE_OF_A_BUILDER, install

from op_builder import CPUAdamBuilder, OpBuilder, all_builders, builder_of
from op_builder.ascend_c import AscendCOpBuilder
from op_builder.errors import UnknownOpError
from op_builder.registry import ALL_OPS

OWN = [cls.NAME for cls in ALL_OPS]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a site-packages folder for this test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def test_own_ops_are_listed_by_name_and_are_complete() -> None:
    assert list(all_builders())[: len(OWN)] == OWN
    assert len(set(OWN)) == len(OWN)
    for cls in ALL_OPS:
        assert cls.BUILD_VAR.startswith("DS_BUILD_")
        assert cls().sources()


@pytest.mark.parametrize("name", ["cpu_adam", "CPUAdamBuilder"])
def test_an_op_is_known_by_its_name_and_its_class(name: str) -> None:
    assert type(builder_of(name)) is CPUAdamBuilder


def test_an_unknown_op_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownOpError) as caught:
        builder_of("cpu_adm")
    assert set(caught.value.known) == set(all_builders())


def test_an_op_of_another_package_is_found(site: Path) -> None:
    source = SOURCE_OF_A_BUILDER.format(cls="OutsideBuilder", name="outside")
    install(site, "outside_ops_a", "x = outside_ops_a:OutsideBuilder", source=source)
    builder = builder_of("outside")
    assert type(builder).__name__ == "OutsideBuilder"
    assert builder.absolute_name() == "outside_ops_a.outside"
    assert builder.source_root() == site.resolve()
    assert builder.prebuilt_dir() == site.resolve() / "prebuilt"


@pytest.mark.parametrize(
    ("source", "warned"),
    [
        ("raise RuntimeError('libhccl.so')", "fails to import: libhccl.so"),
        ("import no_such_module_at_all", "fails to import: No module named"),
        ("syntax error", "fails to import: "),
        ("", "fails to import: "),
        ("Builder = 3", "is not an OpBuilder subclass"),
        ("class Builder: NAME = 'x'", "is not an OpBuilder subclass"),
        ("def Builder(): pass", "is not an OpBuilder subclass"),
        ("from op_builder import OpBuilder as Builder", "has no NAME or BUILD_VAR"),
        (SOURCE_OF_A_BUILDER.format(cls="Builder", name="cpu_adam"), "its name is taken"),
    ],
)
def test_a_bad_package_is_a_warning_and_the_others_work(
    site: Path, caplog: pytest.LogCaptureFixture, source: str, warned: str
) -> None:
    name = f"bad_ops_{abs(hash((source, warned)))}"
    install(site, name, f"x = {name}:Builder", source=source)
    good = SOURCE_OF_A_BUILDER.format(cls="GoodBuilder", name="good")
    install(site, f"zz_good_{name}", f"y = zz_good_{name}:GoodBuilder", source=good)
    with caplog.at_level(logging.WARNING):
        builders = all_builders()
    assert builders["cpu_adam"] is CPUAdamBuilder
    assert "good" in builders
    (message,) = caplog.messages
    assert warned in message
    assert name in message


@pytest.mark.parametrize("cls", ALL_OPS, ids=lambda cls: cls.NAME)
def test_each_op_reports_why_it_cannot_be_built_without_cann(
    cls: type[OpBuilder], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in list(os.environ):
        if variable.startswith(("ASCEND_", "CANN_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    builder = cls()
    reasons = builder.compatibility(builder.toolchain())
    if issubclass(cls, AscendCOpBuilder):
        assert any("CANN" in reason for reason in reasons)
    assert builder.is_compatible() == (not reasons)
