"""What ``python -m build`` makes: an sdist and a wheel, installed into fresh environments and used.

An environment is fresh: it has nothing but links to this project's dependencies, with or without
torch_npu. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# Left out of the environments: this project, however it is installed here, and torch_npu.
_LEFT_OUT = ("ascend_ops", "__editable__", "op_builder", "torch_npu")
PROGRAM = """
import json, sys
from pathlib import Path
import ascend_ops, op_builder, torch
from ascend_ops import CPUAdam
from op_builder import CPUAdamBuilder
weight = torch.nn.Parameter(torch.ones(1000))
optimizer = CPUAdam([weight], lr=0.1)
weight.grad = torch.ones(1000)
optimizer.step()
found = {
    "value": weight[0].item(),
    "library": CPUAdamBuilder().load().__file__,
    "folders": [str(Path(module.__file__).parent) for module in (ascend_ops, op_builder)],
    "has_torch_npu": op_builder.CPUAdamBuilder().toolchain().torch_npu is not None,
}
print(json.dumps(found))
"""


def run(*command: str | Path, **environ: str) -> str:
    """Run a command in an environment without this repository; it must succeed."""
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        env={**outside, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0", **environ},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh_environment(folder: Path, *, with_torch_npu: bool) -> Path:
    """Create a virtual environment with links to the dependencies; return its Python."""
    venv.create(folder / "env", symlinks=True)
    site = sysconfig.get_path("purelib", vars={"base": str(folder / "env")})
    packages = folder / "packages"
    packages.mkdir()
    for installed in dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")):
        for child in Path(installed).iterdir():
            is_npu = child.name.startswith("torch_npu")
            if not child.name.startswith(_LEFT_OUT) or (is_npu and with_torch_npu):
                (packages / child.name).symlink_to(child)
    Path(site, "dependencies.pth").write_text(f"{packages}\n", encoding="utf-8")
    return folder / "env" / "bin" / "python"


def install(python: Path, *distributions: Path) -> None:
    """Install sdists, wheels or folders with one command of pip, from the files alone."""
    offline = (
        "--no-index",
        "--no-compile",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
    )
    pip = [python, "-m", "pip", "install", "--quiet", "--ignore-installed", *offline]
    run(*pip, *distributions, PIP_FIND_LINKS="")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the sdist, and from it the wheel, which contains one op."""
    pytest.importorskip("build")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    source = tmp_path_factory.mktemp("checkout")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).exists():
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    folder = tmp_path_factory.mktemp("dist")
    builder = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    run(*builder, source, DS_BUILD_CPU_ADAM="1", PIP_NO_INDEX="1")
    [sdist] = folder.glob("*.tar.gz")
    [wheel] = folder.glob("*.whl")
    return sdist, wheel


def test_the_sdist_contains_all_tracked_files(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    of_git = (".git", ".ci/")  # what only a checkout needs
    wanted = {name for name in tracked if not name.startswith(of_git)}
    assert wanted - names == set()


def test_the_wheel_is_bound_to_no_python(distributions: tuple[Path, Path]) -> None:
    python, abi, platform = distributions[1].stem.split("-")[2:]
    assert (python, abi) == ("py3", "none")
    assert platform == f"linux_{os.uname().machine}"
    names = zipfile.ZipFile(distributions[1]).namelist()
    assert sum(name.endswith(".so") for name in names) == 1
    sources = {
        str(file.relative_to(REPOSITORY))
        for file in (REPOSITORY / "csrc").rglob("*")
        if file.is_file() and file.suffix not in ("", ".md")
    }
    assert {f"op_builder/{name}" for name in sources} - set(names) == set()
    assert any(name == "ascend_ops/benchmarks/stream.cpp" for name in names)


@pytest.mark.parametrize("with_torch_npu", [True, False])
def test_the_wheel_runs_in_a_fresh_environment_without_a_compiler(
    distributions: tuple[Path, Path], tmp_path: Path, with_torch_npu: bool
) -> None:
    if with_torch_npu and importlib.util.find_spec("torch_npu") is None:
        pytest.skip("torch_npu is not installed")
    python = fresh_environment(tmp_path, with_torch_npu=with_torch_npu)
    install(python, distributions[1])
    bare = {"PATH": str(python.parent), "ASCEND_OPS_JIT": "0", "HOME": str(tmp_path)}
    found = json.loads(run(python, "-c", PROGRAM, **bare))
    assert found["value"] == pytest.approx(0.899)
    assert found["has_torch_npu"] is with_torch_npu
    for place in (*found["folders"], found["library"]):
        assert Path(place).is_relative_to(tmp_path / "env")
    report = json.loads(run(python.with_name("ascend-ops"), "report", "--json", **bare))
    states = {op["op"]: op["state"] for op in report["ops"]}
    assert states["cpu_adam"] == "prebuilt"


@pytest.mark.long
def test_the_sdist_and_the_examples_are_installed_and_compile_in_a_fresh_environment(
    distributions: tuple[Path, Path], tmp_path: Path
) -> None:
    python = fresh_environment(tmp_path, with_torch_npu=False)
    examples = shutil.copytree(REPOSITORY / "examples" / "external_ops", tmp_path / "examples")
    install(python, distributions[0], examples)
    cache = {"ASCEND_OPS_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    found = json.loads(run(python, "-c", PROGRAM, **cache))
    assert found["value"] == pytest.approx(0.899)
    assert Path(found["library"]).is_relative_to(tmp_path / "cache")
    program = "from example_ops.crc32c import crc32c; print(hex(crc32c(b'123456789')))"
    assert run(python, "-c", program, **cache) == "0xe3069283\n"
    report = json.loads(run(python.with_name("ascend-ops"), "report", "--json", **cache))
    assert {op["op"]: op["state"] for op in report["ops"]}["crc32c"] == "cached"
