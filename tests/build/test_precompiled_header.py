"""``torch/extension.h`` is compiled once for all ops of the same flags.

Most tests have a torch of two small headers; one has the real torch.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox import Sandbox

from op_builder.cache import key
from op_builder.cache.entry import Entry
from op_builder.cache.layers import layers, memo_folder
from op_builder.errors import BuildError
from op_builder.jit import compile, publish
from op_builder.jit.plan import Plan
from op_builder.jit.publish import build
from op_builder.recipe.precompiled import with_precompiled
from op_builder.recipe.spec import BuildSpec, Source
from op_builder.toolchain import Toolchain

# A precompiled header that GCC refuses is an error.
FLAGS = ("-O1", "-fPIC", "-Werror=invalid-pch")
BODY = 'extern "C" int answer() { return ANSWER; }\n'


@dataclass
class Project:
    """A folder with a small torch, a small Python and ops."""

    root: Path
    compiler: str = "g++"

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def plan(
        self,
        name: str,
        text: str = "#include <torch/extension.h>\n" + BODY,
        *,
        flags: tuple[str, ...] = FLAGS,
        include_dirs: tuple[str, ...] = (),
        launcher: str = "",
    ) -> Plan:
        self.write(f"ops/{name}.cpp", text)
        spec = BuildSpec(
            name=name,
            binding="torch_extension",
            namespace=name,
            sources=with_precompiled(self.root / "ops", [Source(f"{name}.cpp")], flags),
            include_dirs=(*include_dirs, "torch/include", "python"),
            cxx_flags=(*flags, f"-DTORCH_EXTENSION_NAME={name}"),
            ld_flags=(),
            roots={
                "source": self.root / "ops",
                "torch": self.root / "torch",
                "python": self.root / "python",
            },
            bound_to={"torch": "1", "python": ".so"},
        )
        environ = {
            **os.environ,
            "ASCEND_OPS_COMPILER_LAUNCHER": launcher,
            "CXX": self.compiler,
        }
        toolchain = Toolchain.detect(environ, memo_folder(environ))
        local = tuple(layers(environ, None))
        return Plan(spec, toolchain, key.recipe(spec, toolchain), local, "DS_BUILD_X", "x")

    def build(self, name: str, **arguments: object) -> Entry:
        return build(self.plan(name, **arguments))  # type: ignore[arg-type]

    def headers(self) -> list[Path]:
        """The precompiled headers in the cache."""
        cache = Path(os.environ["ASCEND_OPS_CACHE_DIR"])
        return sorted(cache.glob("*/torch_extension_h/*/*/torch_extension_h.gch"))


def answer(entry: Entry) -> int:
    found: int = ctypes.CDLL(str(entry.library)).answer()
    return found


@pytest.fixture(params=["g++", "clang++"])
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Project:
    """Provide ops, the first of which builds the precompiled header."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    monkeypatch.setattr(publish, "_SOURCES_THAT_PAY", 1)
    made = Project(tmp_path, request.param)
    made.write("torch/include/torch/extension.h", "#pragma once\n#include <torch/answer.h>\n")
    made.write("torch/include/torch/answer.h", "#define ANSWER 42\n")
    made.write("python/Python.h", "")
    return made


def test_it_is_built_once_as_many_sources_as_pay_for_it_were_compiled_without(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_SOURCES_THAT_PAY", 3)
    built = []
    for name in ("first", "second", "third"):
        assert answer(project.build(name)) == 42
        built.append(len(project.headers()))

    assert built == [0, 0, 1]


def test_an_op_of_many_sources_builds_it_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_SOURCES_THAT_PAY", 2)
    plan = project.plan("first")
    project.write("ops/other.cpp", "#include <torch/extension.h>\n")
    other = dataclasses.replace(plan.spec.sources[0], path="other.cpp")
    spec = dataclasses.replace(plan.spec, sources=(*plan.spec.sources, other))
    build(dataclasses.replace(plan, spec=spec, recipe=key.recipe(spec, plan.toolchain)))

    assert len(project.headers()) == 1


def test_two_ops_of_the_same_flags_share_it(project: Project) -> None:
    first, second = project.build("first"), project.build("second")

    (header,) = project.headers()
    assert (answer(first), answer(second)) == (42, 42)
    assert "header = $torch_extension" in (first.path / "build.ninja").read_text(encoding="utf-8")
    for entry in (first, second):
        assert "torch/include/torch/answer.h" in entry.manifest.headers
        assert not any("precompiled" in path for path in entry.manifest.headers)
    stored = Entry.read(header.parent, "user")
    assert isinstance(stored, Entry)
    assert stored.is_header  # `cache pack` leaves it out
    assert not first.is_header


def test_the_compiler_reads_it_instead_of_the_header(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GCC would fall back to the header without a word."""
    monkeypatch.setattr(compile, "_UNCOMPILED", "#error the header is not precompiled\n")
    assert answer(project.build("first")) == 42


def test_an_error_in_the_header_is_that_of_the_op(project: Project) -> None:
    project.write("torch/include/torch/answer.h", "#error broken torch\n")
    with pytest.raises(BuildError, match="broken torch") as raised:
        project.build("first")
    assert raised.value.op == "first"


def test_a_changed_header_is_compiled_again(project: Project) -> None:
    assert answer(project.build("first")) == 42
    project.write("torch/include/torch/answer.h", "#define ANSWER 7\n")

    plan = project.plan("first")
    assert plan.find().entry is None
    assert answer(build(plan)) == 7
    assert answer(project.build("second")) == 7
    assert len(project.headers()) == 2


def test_other_flags_have_another(project: Project) -> None:
    project.build("first")
    assert answer(project.build("second", flags=(*FLAGS, "-DANSWER_OF_TORCH=1"))) == 42
    assert len(project.headers()) == 2


def test_a_damaged_one_is_replaced(project: Project) -> None:
    project.build("first")
    (header,) = project.headers()
    header.write_bytes(b"damaged")
    assert answer(project.build("second")) == 42
    (header,) = project.headers()
    assert header.stat().st_size > 1000


def test_an_op_with_such_a_header_of_its_own_is_built_without(project: Project) -> None:
    """Its folder comes before torch's, so the precompiled header would be another one."""
    project.write("ops/own/torch/answer.h", "#define ANSWER 5\n")
    assert answer(project.build("first", include_dirs=("source/own",))) == 5
    (project.root / "ops" / "own" / "torch" / "answer.h").unlink()
    project.write("ops/own/answer.h", "")  # torch's is included as torch/answer.h
    assert answer(project.build("first", include_dirs=("source/own",))) == 42


@pytest.mark.parametrize(
    "text",
    [
        "#define ANSWER_OF_OP\n#include <torch/extension.h>\n" + BODY,
        '#include "own.h"\n#include <torch/extension.h>\n' + BODY,
        "#include <torch/answer.h>\n" + BODY,
    ],
    ids=["macro", "own header", "another header"],
)
def test_a_source_that_does_not_begin_with_it_is_built_without(project: Project, text: str) -> None:
    project.write("ops/own.h", "#define OWN\n")
    assert answer(project.build("first", text=text)) == 42
    assert project.headers() == []


def test_no_precompiled_header_with_ccache(project: Project) -> None:
    """It would not cache the compiles that include one."""
    project.write("bin/ccache", '#!/bin/sh\nexec "$@"\n').chmod(0o755)
    assert answer(project.build("first", launcher=str(project.root / "bin" / "ccache"))) == 42
    assert project.headers() == []


def test_an_op_keeps_nothing_of_the_place_of_the_precompiled_header(project: Project) -> None:
    """Clang lists the header's files by their absolute paths."""
    headers = project.build("first").manifest.headers

    assert "torch/include/torch/extension.h" in headers
    assert not any(str(project.root) in path or "staging" in path for path in headers)


def test_the_header_of_clang_is_that_of_one_place(project: Project) -> None:
    """It contains absolute paths, so a torch elsewhere, in another environment, has another."""
    if project.compiler != "clang++":
        pytest.skip("GCC's contains no paths")
    assert answer(project.build("first")) == 42
    (project.root / "torch").rename(project.root / "old")
    shutil.copytree(project.root / "old", project.root / "torch")
    (project.root / "other").mkdir()
    other = Project(project.root / "other", project.compiler)
    shutil.copytree(project.root / "torch", other.root / "torch")
    shutil.copytree(project.root / "python", other.root / "python")
    assert answer(other.build("second")) == 42
    assert len(project.headers()) == 2
    shutil.rmtree(project.root / "torch")
    assert answer(other.build("third")) == 42


@pytest.mark.long
def test_with_the_real_torch(sandbox: Sandbox) -> None:
    """The second op refuses torch._C's classes if it has another pybind11 than torch."""
    at_once = "import torch, op_builder.jit.publish as p; p._SOURCES_THAT_PAY = 1"
    twice = sandbox.load(
        "extensions:TwiceBuilder",
        first=at_once,
        value="loaded.twice(__import__('torch').ones(2)).tolist()",
    )
    name = sandbox.load(
        "extensions:SchemaNameBuilder",
        first="import torch",
        value="loaded.name(__import__('torch').ops.aten.add.Tensor._schema)",
    )

    assert (twice.value, twice.message) == ([2, 2], "")
    assert (name.value, name.message) == ("aten::add", "")
    assert sandbox.compiles == 3
    assert len(sandbox.entries()) == 3
