"""A source can set TORCH_TARGET_VERSION, and the versions that the library works with follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cache_entries
import pytest

from op_builder import CPUOpBuilder
from op_builder.recipe.spec import Source
from op_builder.recipe.torch_target import TorchTarget, torch_target
from op_builder.toolchain import Toolchain
from op_builder.toolchain.torch_install import PackageInstall

DEFAULT = "-DTORCH_TARGET_VERSION=0x020A000000000000"
SHIFTS = "(((0ULL + 2) << 56) | ((0ULL + 12) << 48))"
INCLUDE = "#include <torch/csrc/stable/library.h>\n"


def target(
    root: Path, *texts: str, args: Sequence[str] = (), flags: Sequence[str] = ()
) -> TorchTarget:
    sources = []
    for index, text in enumerate(texts):
        (root / f"{index}.cpp").write_text(text, encoding="utf-8")
        sources.append(Source(f"{index}.cpp", tuple(flags)))
    return torch_target(root, sources, args)


def test_an_op_that_sets_nothing_has_the_default(tmp_path: Path) -> None:
    found = target(tmp_path, INCLUDE)
    assert (found.cxx_flags, found.oldest) == ((DEFAULT,), (2, 10))
    assert found.sources == (Source("0.cpp"),)


@pytest.mark.parametrize(
    ("line", "value", "oldest"),
    [
        ("#define TORCH_TARGET_VERSION 0x020C000000000000", "0x020C000000000000", (2, 12)),
        ("  #  define TORCH_TARGET_VERSION 0x020cULL // 2.12", "0x020cULL", (0, 0)),
        ("#define TORCH_TARGET_VERSION 0x020B'0000'0000'0000", "0x020B'0000'0000'0000", (2, 11)),
        (f"#define TORCH_TARGET_VERSION {SHIFTS}  /* 2.12 */", SHIFTS, (2, 12)),
        ("#define TORCH_TARGET_VERSION \\\n  0x0209000000000000", "0x0209000000000000", (2, 9)),
        ("#define TORCH_TARGET_VERSION MY_TARGET", "MY_TARGET", None),
    ],
)
def test_a_definition_in_a_source_is_repeated_as_it_is_written(
    tmp_path: Path, line: str, value: str, oldest: tuple[int, int] | None
) -> None:
    """A macro may be defined again with the same tokens, but not with others."""
    found = target(tmp_path, f"{line}\n{INCLUDE}")
    flags = ("-UTORCH_TARGET_VERSION", f"-DTORCH_TARGET_VERSION={value}")
    assert found.sources == (Source("0.cpp", flags),)
    assert found.oldest == oldest


@pytest.mark.parametrize(
    "text", [INCLUDE, "#ifdef TORCH_TARGET_VERSION\n#endif\n", "// TORCH_TARGET_VERSION is 2.10\n"]
)
def test_a_use_or_a_mention_is_not_a_definition(tmp_path: Path, text: str) -> None:
    assert target(tmp_path, text).sources == (Source("0.cpp"),)


def test_two_definitions_in_one_source_bind_the_op_to_this_torch(tmp_path: Path) -> None:
    text = (
        "#if A\n#define TORCH_TARGET_VERSION 0x020B000000000000\n"
        "#else\n#define TORCH_TARGET_VERSION 0x020C000000000000\n#endif\n"
    )
    found = target(tmp_path, text)
    assert found.sources == (Source("0.cpp", ("-UTORCH_TARGET_VERSION",)),)
    assert found.oldest is None


def test_the_newest_target_of_all_sources_decides(tmp_path: Path) -> None:
    newer = f"#define TORCH_TARGET_VERSION 0x020D000000000000\n{INCLUDE}"
    assert target(tmp_path, INCLUDE, newer).oldest == (2, 13)


@pytest.mark.parametrize(
    "args",
    [
        ["-DTORCH_TARGET_VERSION=0x020C000000000000"],
        ["-D", "TORCH_TARGET_VERSION=0x020C000000000000"],
    ],
)
def test_a_flag_for_all_files_replaces_the_default(tmp_path: Path, args: list[str]) -> None:
    found = target(tmp_path, INCLUDE, args=args)
    assert (found.cxx_flags, found.oldest) == ((), (2, 12))


def test_a_flag_for_one_file_replaces_the_default(tmp_path: Path) -> None:
    flag = "-DTORCH_TARGET_VERSION=0x020C000000000000"
    found = target(tmp_path, INCLUDE, flags=[flag])
    assert found.sources == (Source("0.cpp", ("-UTORCH_TARGET_VERSION", flag)),)
    assert found.oldest == (2, 12)


def test_a_changed_source_is_read_again(tmp_path: Path) -> None:
    assert target(tmp_path, INCLUDE).oldest == (2, 10)
    newer = f"#define TORCH_TARGET_VERSION 0x020C000000000000\n{INCLUDE}"
    assert target(tmp_path, newer).oldest == (2, 12)


def test_key_bound_versions_and_refusal_follow(tmp_path: Path) -> None:
    class Newer(CPUOpBuilder):
        NAME, BUILD_VAR = "newer", "DS_BUILD_NEWER"

        def sources(self) -> list[str]:
            return ["a.cpp"]

        def source_root(self) -> Path:
            return tmp_path

    text = "#define TORCH_TARGET_VERSION {}\n"
    (tmp_path / "a.cpp").write_text(text.format("0x020C000000000000"), encoding="utf-8")
    torch = PackageInstall(Path("/site/torch"), "2.13.0", "abc")
    toolchain: Toolchain = cache_entries.toolchain(torch=torch)

    assert Newer().spec(toolchain).bound_to["torch"] == "stable ABI, 2.12 or newer"
    (reason,) = Newer().compatibility(replace(toolchain, torch=replace(torch, version="2.11.0")))
    assert reason.startswith("torch must be 2.12 or newer")
    (tmp_path / "a.cpp").write_text(text.format("SOMETHING"), encoding="utf-8")
    assert Newer().spec(toolchain).bound_to["torch"] == "2.13.0 abc"
