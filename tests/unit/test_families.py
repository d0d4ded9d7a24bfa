"""Every family of NPU ops and every CPU optimizer has all its places; a failure names what to add.

``docs/how-to/add-a-family.md`` and ``docs/how-to/add-an-op.md`` list the same places for a reader.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ascend_ops
from op_builder.ops.cpu_optimizer import CPUOptimizerBuilder
from op_builder.ops.npu_family import NPUFamilyBuilder
from op_builder.registry import ALL_OPS

ROOT = Path(__file__).resolve().parents[2]
NPU_SOURCES = ROOT / "csrc" / "npu"
FAMILY_BUILDERS = [cls for cls in ALL_OPS if issubclass(cls, NPUFamilyBuilder)]
OPTIMIZER_BUILDERS = [cls for cls in ALL_OPS if issubclass(cls, CPUOptimizerBuilder)]
SHARED_BY_FAMILIES = {"call", "direct_call"}  # folders of csrc/npu that are not families
CPU_OPTIMIZERS = "cpu_optimizers"
KERNELS = "kernels"  # compiles the user's kernels; it has no op of its own


def _text(files: list[Path]) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in files)


def exported(prefix: str) -> list[str]:
    """Return the public names that the modules of ascend_ops with this prefix define."""
    return [
        name
        for module, names in ascend_ops._EXPORTS.items()
        if f"{module}.".startswith(prefix)
        for name in names
    ]


def families() -> list[str]:
    """Return the families that any place knows, so that one place suffices to require the rest."""
    folders = {folder.name for folder in NPU_SOURCES.iterdir() if folder.is_dir()}
    packages = {module.split(".")[1] for module in ascend_ops._EXPORTS}
    declared = {builder.FAMILY for builder in FAMILY_BUILDERS}
    others = {*SHARED_BY_FAMILIES, CPU_OPTIMIZERS, KERNELS}
    return sorted((folders | packages | declared) - others)


def cpu_optimizers() -> list[str]:
    """Return the CPU optimizers that any place knows."""
    bindings = {file.parent.name for file in (ROOT / "csrc" / "cpu").glob("*/*_binding.cpp")}
    modules = {module.split(".")[2] for module in ascend_ops._EXPORTS if CPU_OPTIMIZERS in module}
    return sorted(bindings | modules | {builder.OPTIMIZER for builder in OPTIMIZER_BUILDERS})


def missing_of_family(family: str) -> list[str]:
    """Return what must be added for a family of NPU ops."""
    builders = [builder for builder in FAMILY_BUILDERS if family == builder.FAMILY]
    names = exported(f".{family}.")
    sources = sorted((NPU_SOURCES / family).glob("*.cpp"))
    package, tests = ROOT / "ascend_ops" / family, ROOT / "tests" / "npu_ops" / family
    places = {
        f"ascend_ops/{family}/__init__.py: add the package, with one file per op": (
            (package / "__init__.py").is_file()
        ),
        f"ascend_ops/{family}/checks.py: add the argument checks of the ops": (
            (package / "checks.py").is_file() or (names and all(n[0].isupper() for n in names))
        ),
        f"ascend_ops/__init__.py and .pyi: export the ops of ascend_ops/{family}/": names,
        f"csrc/npu/{family}/: add a .cpp file that calls the aclnn functions": sources,
        f"op_builder/ops/: add a builder with FAMILY = {family!r} and list it in ALL_OPS": builders,
        f"tests/npu_ops/{family}/: add test_<op>.py": list(tests.glob("test_*.py")),
    }
    missing = [place for place, found in places.items() if not found]
    there = {source.stem for source in sources}
    listed = {source for builder in builders for source in builder.SOURCES}
    missing += [
        f"op_builder/ops/: list {source!r} in SOURCES of a builder of {family!r}"
        for source in sorted(there - listed)
    ]
    missing += [f"csrc/npu/{family}/{source}.cpp: add it" for source in sorted(listed - there)]
    code = _text(sources)
    for builder in builders:
        missing += missing_of_builder(builder)
        if f"ASCEND_OPS_FAMILY({builder.NAME}," not in code:
            missing.append(f"csrc/npu/{family}/: add ASCEND_OPS_FAMILY({builder.NAME}, kernels)")
    missing += missing_in_python(family, re.findall(r'\{"(\w+)", \w+,\s+TORCH_BOX', code))
    return missing + missing_in_docs("npu_ops.md", names or [family])


def missing_in_python(family: str, kernels: list[str]) -> list[str]:
    """Return the kernels that lack a schema or an export; gradients have no public function."""
    code = _text(sorted((ROOT / "ascend_ops" / family).glob("*.py")))
    missing = [
        f"ascend_ops/{family}/: add an NPUOp with the schema of {kernel}"
        for kernel in kernels
        if f'"{kernel}(' not in code
    ]
    public = set(re.findall(r"^def (\w+)\(", code, re.MULTILINE)).intersection(kernels)
    return missing + [
        f"ascend_ops/__init__.py and .pyi: export {name}"
        for name in sorted(public.difference(exported(f".{family}.")))
    ]


def missing_of_cpu_optimizer(name: str) -> list[str]:
    """Return what must be added for a CPU optimizer."""
    builders = [builder for builder in OPTIMIZER_BUILDERS if name == builder.OPTIMIZER]
    names = exported(f".{CPU_OPTIMIZERS}.{name}.")
    folder = ROOT / "csrc" / "cpu" / name
    places = {
        f"ascend_ops/{CPU_OPTIMIZERS}/{name}.py: add the class": (
            (ROOT / "ascend_ops" / CPU_OPTIMIZERS / f"{name}.py").is_file()
        ),
        f"ascend_ops/__init__.py and .pyi: export the class of {CPU_OPTIMIZERS}/{name}.py": names,
        f"op_builder/ops/cpu_{name}.py: add a builder with OPTIMIZER = {name!r} and list it in "
        "ALL_OPS": builders,
        f"tests/cpu_ops/: add test_cpu_{name}.py": list(
            (ROOT / "tests" / "cpu_ops").glob(f"test_cpu_{name}*.py")
        ),
    }
    for file in ("formula.h", f"{name}.h", f"{name}.cpp", f"{name}_binding.cpp"):
        places[f"csrc/cpu/{name}/{file}: add it"] = (folder / file).is_file()
    missing = [place for place, found in places.items() if not found]
    for builder in builders:
        missing += missing_of_builder(builder)
    return missing + missing_in_docs("cpu_optimizers.md", names or [name])


def missing_of_builder(builder: type[NPUFamilyBuilder | CPUOptimizerBuilder]) -> list[str]:
    """Return which names of a builder differ from those that the other places use."""
    wanted = {
        "BUILD_VAR": f"DS_BUILD_{builder.NAME.upper()}",  # `report --env` lists it
        "NAMESPACE": f"ascend_ops_{builder.NAME}",
    }
    return [
        f"{builder.__module__}: set {attribute} = {value!r}"
        for attribute, value in wanted.items()
        if getattr(builder, attribute, None) != value
    ]


def missing_in_docs(page: str, names: list[str]) -> list[str]:
    """Return the names that a page of the documentation does not describe."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [
        f"docs/{page}: describe {name}" for name in names if not re.search(rf"\b{name}\b", text)
    ]


@pytest.mark.parametrize("family", families())
def test_a_family_has_all_its_places(family: str) -> None:
    if missing := missing_of_family(family):
        pytest.fail("\n".join([f"the family {family} lacks:", *missing]), pytrace=False)


@pytest.mark.parametrize("name", cpu_optimizers())
def test_a_cpu_optimizer_has_all_its_places(name: str) -> None:
    if missing := missing_of_cpu_optimizer(name):
        pytest.fail("\n".join([f"the CPU optimizer {name} lacks:", *missing]), pytrace=False)


def test_the_lists_are_not_empty() -> None:
    assert {"attention", "fused_optimizers", "moe", "norm", "serving"} <= set(families())
    assert {"adagrad", "adam", "lion"} <= set(cpu_optimizers())


def test_for_a_new_name_every_place_is_reported() -> None:
    assert [place.partition(":")[0] for place in missing_of_family("pooling")] == [
        "ascend_ops/pooling/__init__.py",
        "ascend_ops/pooling/checks.py",
        "ascend_ops/__init__.py and .pyi",
        "csrc/npu/pooling/",
        "op_builder/ops/",
        "tests/npu_ops/pooling/",
        "docs/npu_ops.md",
    ]
    assert [place.partition(":")[0] for place in missing_of_cpu_optimizer("muon")] == [
        "ascend_ops/cpu_optimizers/muon.py",
        "ascend_ops/__init__.py and .pyi",
        "op_builder/ops/cpu_muon.py",
        "tests/cpu_ops/",
        "csrc/cpu/muon/formula.h",
        "csrc/cpu/muon/muon.h",
        "csrc/cpu/muon/muon.cpp",
        "csrc/cpu/muon/muon_binding.cpp",
        "docs/cpu_optimizers.md",
    ]
