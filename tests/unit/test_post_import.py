"""Hooks that run after the import of a module that is not imported yet."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ascend_ops.integrations import post_import
from ascend_ops.integrations.post_import import PostImportFinder, after_import

NAME = "module_of_post_import"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    file = tmp_path / f"{NAME}.py"
    file.write_text("VALUE = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(post_import, "_hooks", {})
    monkeypatch.setattr(post_import, "_patterns", [])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield file
    sys.modules.pop(NAME, None)


def double(module: ModuleType) -> None:
    module.VALUE *= 2


def test_hooks_run_in_order_after_the_module_and_before_its_importer() -> None:
    seen = []
    after_import(NAME, double)
    after_import(NAME, lambda found: seen.append(found.VALUE))
    assert NAME not in sys.modules
    assert importlib.import_module(NAME).VALUE == 2
    assert seen == [2]
    assert sum(isinstance(finder, PostImportFinder) for finder in sys.meta_path) == 1


def test_the_module_keeps_its_loader_and_its_source(module: Path) -> None:
    usual = importlib.import_module(NAME)
    loader = type(usual.__loader__)
    del sys.modules[NAME]
    after_import(NAME, double)
    found = importlib.import_module(NAME)
    assert type(found.__loader__) is type(found.__spec__.loader) is loader
    assert found.__file__ == str(module)
    assert inspect.getsource(found) == "VALUE = 1\n"


def test_hooks_of_one_pattern_run_once_each() -> None:
    seen: list[str] = []
    for name in ("a", "b"):
        after_import("module_of_*", lambda _, name=name: seen.append(name))
    importlib.import_module(NAME)
    assert seen == ["a", "b"]


def test_a_reload_runs_the_hook_again() -> None:
    after_import(NAME, double)
    assert importlib.reload(importlib.import_module(NAME)).VALUE == 2


def test_a_module_that_is_imported_already_gets_the_hook_at_once() -> None:
    found = importlib.import_module(NAME)
    after_import(NAME, double)
    assert found.VALUE == 2


def test_a_pattern_stands_for_several_modules() -> None:
    seen = []
    after_import("module_of_*_import", lambda found: seen.append(found.__name__))
    after_import("module_of_*_export", lambda found: seen.append("another"))
    importlib.import_module(NAME)
    assert seen == [NAME]
    after_import("module_of_post_*", double)
    assert sys.modules[NAME].VALUE == 2


def test_an_error_of_a_hook_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: ModuleType) -> None:
        raise OSError("broken on purpose")

    after_import(NAME, broken)
    after_import(NAME, double)
    with caplog.at_level(logging.WARNING):
        assert importlib.import_module(NAME).VALUE == 2
    assert NAME in caplog.text
    assert "broken on purpose" in caplog.text


def test_an_error_of_the_module_is_its_own(module: Path) -> None:
    module.write_text("raise ValueError('of the module')\n", encoding="utf-8")
    after_import(NAME, double)
    with pytest.raises(ValueError, match="of the module"):
        importlib.import_module(NAME)
    assert NAME not in sys.modules


def test_a_missing_module_is_missing() -> None:
    after_import("no_such_module_at_all", double)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_at_all")
