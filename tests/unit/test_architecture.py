"""Rules for the sources as a whole: import order, side effects, third parties, lengths."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OP_BUILDER = ROOT / "op_builder"
PACKAGES = ("op_builder", "ascend_ops")
# The packages whose docstring lists their modules in import order.
ORDERED = [
    file.parent
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("__init__.py"))
    if "n import order:" in file.read_text(encoding="utf-8")
]
PYTHON_FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
CPP_FILES = sorted(file for file in (ROOT / "csrc").rglob("*") if file.suffix in (".h", ".cpp"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 45

# Third-party packages, and the modules that may import each of them.
THIRD_PARTY = {
    "packaging": {"compatibility"},
    "ninja": {"run_ninja"},
    "torch": {"library"},
    "setuptools": {"op_extension", "setuptools_command"},
    "fsspec": {"reader", "push"},
    "cryptography": {"signatures"},
}
# All others import them when they need them.
AT_IMPORT = {"op_extension", "setuptools_command"}


def _named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _order(package: Path) -> dict[str, int]:
    """Return the line in the docstring of ``package`` that lists each of its modules."""
    docstring = ast.get_docstring(_tree(package / "__init__.py")) or ""
    found: dict[str, int] = {}
    for number, line in enumerate(docstring.partition("n import order:")[2].splitlines()):
        names = re.match(r" {4}(\w+(?:, \w+)*) {2,}", line)
        if names:
            found.update(dict.fromkeys(names[1].split(", "), number))
    return found


def _imports(file: Path) -> Iterator[str]:
    """Yield each module of the same package that ``file`` imports, in functions too."""
    package = file.relative_to(ROOT).parts[:-1]
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(f"{package[0]}."):
                    yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *(node.module.split(".") if node.module else [])]
            if module[0] == package[0]:
                by_name = node.module is None or len(module) == 1
                names = [alias.name for alias in node.names] if by_name else []
                for target in [[*module, name] for name in names] or [module]:
                    yield ".".join(target)


@pytest.mark.parametrize("package", ORDERED, ids=_named)
def test_the_docstring_lists_every_module(package: Path) -> None:
    modules = {file.stem for file in package.glob("*.py")}
    packages = {file.parent.name for file in package.glob("*/__init__.py")}
    assert set(_order(package)) == (modules | packages) - {"__init__"}


@pytest.mark.parametrize("file", PYTHON_FILES, ids=_named)
def test_imports_go_in_the_stated_direction(file: Path) -> None:
    for package in ORDERED:
        if package not in file.parents or file == package / "__init__.py":
            continue
        inside = (*package.relative_to(ROOT).parts, "")
        here = file.relative_to(package).parts[0].removesuffix(".py")
        order = _order(package)
        for module in _imports(file):
            *outer, there = module.split(".")[: len(inside)]
            if (*outer, "") == inside and there != here:
                assert order[there] <= order[here], f"{file} imports {module}"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_stub_lists_what_the_package_exports(package: str) -> None:
    """Type checkers read ``__init__.pyi``; the table in ``__init__.py`` is what runs."""
    module = importlib.import_module(package)
    stub = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    listed: dict[str, tuple[str, ...]] = {}
    public: list[str] = []
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            listed[f".{node.module or ''}"] = tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            public = ast.literal_eval(node.value)
    submodules = listed.pop(".", ())
    listed.pop(".version", None)
    assert list(module._EXPORTS.items()) == sorted(listed.items())
    assert submodules == getattr(module, "_SUBMODULES", ())
    assert sorted(public) == module.__all__
    assert dir(module) == module.__all__
    for name in public:
        assert getattr(module, name) is not None


def test_op_builder_knows_nothing_of_ascend_ops() -> None:
    for file in OP_BUILDER.rglob("*.py"):
        for node in ast.walk(_tree(file)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "ascend_ops" not in ast.unparse(node), file


def test_op_builder_is_imported_by_statements_that_can_be_renamed() -> None:
    """``_op_builder_finder`` renames ``from op_builder... import``, not ``import op_builder``."""
    for folder in ("ascend_ops", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(_tree(file)):
                if isinstance(node, ast.Import):
                    assert "op_builder" not in ast.unparse(node), file


@pytest.mark.parametrize("file", sorted(OP_BUILDER.rglob("*.py")), ids=_named)
def test_other_packages_are_imported_only_when_they_are_used(file: Path) -> None:
    tree = _tree(file)
    at_import = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module).split(".")[0]]
        else:
            continue
        for name in set(names) - set(sys.stdlib_module_names):
            assert file.stem in THIRD_PARTY.get(name, ()), f"{file} imports {name}"
            assert node not in at_import or file.stem in AT_IMPORT, f"{file}: {name}"


@pytest.mark.parametrize("file", PYTHON_FILES, ids=_named)
def test_one_module_reads_the_environment_and_one_starts_processes(file: Path) -> None:
    used = {
        ast.unparse(node)
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    imported = {
        name
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", "") or "", *(alias.name for alias in node.names)]
    }
    environment = {"os.environ", "os.getenv", "os.putenv", "os.environb", "environ.setdefault"}
    processes = {"os.system", "os.popen", "os.fork", "os.posix_spawn", "os.spawnv", "os.execv"}
    if file != OP_BUILDER / "envs.py":
        assert not used & environment
        assert not imported & {"environ", "getenv"}
    if file in (
        ROOT / "ascend_ops" / "emulator" / "forked_tests.py",  # forking is its purpose
        ROOT / "ascend_ops" / "doctor" / "probe_script.py",  # runs in a child of the doctor
        OP_BUILDER / "system" / "supervisor.py",  # the script that process.py starts
    ):
        processes.remove("os.fork")
    if file != OP_BUILDER / "system" / "process.py":
        assert not used & processes
        assert not imported & {"subprocess", "multiprocessing", "pty", "asyncio"}


@pytest.mark.parametrize("file", PYTHON_FILES + CPP_FILES, ids=_named)
def test_files_are_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("file", PYTHON_FILES, ids=_named)
def test_python_functions_are_short(file: Path) -> None:
    """Docstrings do not count: that of a public function with ten arguments is long."""
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            documentation = (ast.get_docstring(node) or "").count("\n")
            assert node.end_lineno - node.lineno - documentation < MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize("file", CPP_FILES, ids=_named)
def test_bindings_use_what_the_oldest_torch_has(file: Path) -> None:
    """TORCH_TARGET_VERSION hides most of what is newer than torch 2.10, but not these names."""
    younger = r"\.layout\(\)|STABLE_TORCH_ERROR_CODE_CHECK"
    assert not re.search(younger, file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", CPP_FILES, ids=_named)
def test_cpp_functions_are_short(file: Path) -> None:
    """With the layout of clang-format, a function ends at the brace in the first column."""
    began, first = 0, ""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        if line.startswith("}") and not re.match(r"(struct|class|enum|union|namespace)\b", first):
            assert number - began < MAX_FUNCTION_LINES, first
        elif line[:1].strip() and not line.startswith(("#", "//", "}")):
            began, first = number, line


_IMPORT_AND_WATCH = """
import json, sys
events = []
def hook(event, arguments):
    if event in ("subprocess.Popen", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn",
                 "os.system", "os.mkdir", "os.rename", "os.remove", "socket.connect",
                 "ctypes.dlopen"):
        events.append([event, repr(arguments)])
    elif event == "open":
        path, mode, flags = arguments
        if any(letter in (mode or "r") for letter in "wax+") or "/proc/" in str(path):
            events.append([event, repr(arguments)])
sys.dont_write_bytecode = True
before = set(sys.modules)
sys.addaudithook(hook)
for name in sys.argv[1:]:
    __import__(name)
print(json.dumps({"events": events, "modules": sorted(set(sys.modules) - before)}))
"""


def _watched(*modules: str) -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_AND_WATCH, *modules], capture_output=True, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("module", "at_most"), [("op_builder", 20), ("ascend_ops", 21)])
def test_upstream_22_importing_does_nothing(module: str, at_most: int) -> None:
    """transformers #26308, DeepSpeed #7918: probes at import were slow and broke fork."""
    found = _watched(module)
    assert found["events"] == []
    assert not {"torch", "torch_npu", "setuptools", "numpy"} & set(found["modules"])
    assert len(found["modules"]) <= at_most, found["modules"]


def test_upstream_22_the_builder_of_an_op_starts_nothing_either() -> None:
    """DeepSpeed #7918: get_cpu_info() takes 1.2 s per call, and CPUAdam calls it three times."""
    found = _watched("op_builder.ops.cpu_adam")
    assert found["events"] == []
    assert not {"torch", "setuptools", "importlib.metadata"} & set(found["modules"])
    assert len(found["modules"]) <= 130, len(found["modules"])


def test_the_command_line_imports_no_torch() -> None:
    found = _watched("ascend_ops.cli.main")
    assert [
        event for event in found["events"] if event[0] != "ctypes.dlopen"
    ] == []  # rich opens one
    assert not {"torch", "torch_npu", "matplotlib"} & set(found["modules"])
