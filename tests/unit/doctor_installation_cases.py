"""Fake machines on which CANN, torch or torch_npu is missing, wrong, or does not fit."""

from __future__ import annotations

import shutil

import cann_trees
import fake_machines as fakes
from doctor_case import case
from elf_files import library
from fake_machines import FakeMachine


@case(0)
def healthy(fake: FakeMachine) -> None:
    """A host with two NPUs."""


@case(0, npu=False)
def healthy_without_frameworks(fake: FakeMachine) -> None:
    for name in fakes.FRAMEWORKS:
        shutil.rmtree(fake.site / name)


@case(0, "devices.none", mends="ascend-ops emulate", npu=False)
def laptop(fake: FakeMachine) -> None:
    """No NPU, no CANN, no torch_npu: the CPU ops work."""
    fake.without_npu()
    fake.without_cann()
    fake.remove("usr/lib/site-packages/torch_npu")
    fake.environ["LD_LIBRARY_PATH"] = ""


@case(0, "devices.emulated", npu=False)
def emulated(fake: FakeMachine) -> None:
    fake.without_npu()
    fake.environ["ASCEND_EMULATOR_HOME"] = fake.environ["ASCEND_HOME_PATH"]
    for name in fakes.FRAMEWORKS:
        shutil.rmtree(fake.site / name)


@case(
    2,
    "devices.none",
    "cann.missing",
    "imports.torch",
    "frameworks.disagreement",
    mends="export TORCH_DEVICE_BACKEND_AUTOLOAD=0",
    npu=False,
)
def torch_npu_without_cann(fake: FakeMachine) -> None:
    """`import torch` fails; with autoload off, five frameworks give four answers."""
    fake.without_npu()
    fake.without_cann()
    fake.environ["LD_LIBRARY_PATH"] = ""


@case(
    1,
    "devices.none",
    "cann.missing",
    "imports.torch_npu",
    "frameworks.disagreement",
    mends="pip uninstall -y torch_npu",
    npu=False,
)
def torch_npu_without_cann_and_autoload(fake: FakeMachine) -> None:
    torch_npu_without_cann(fake)
    fake.environ["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"


@case(
    2,
    "cann.not_sourced",
    "imports.torch",
    "frameworks.disagreement",
    mends="source /usr/local/Ascend/cann-9.1.0/set_env.sh",
    npu=False,
)
def not_sourced(fake: FakeMachine) -> None:
    fake.not_sourced()


@case(
    2,
    "cann.half_sourced",
    "imports.torch",
    "frameworks.disagreement",
    mends="source /usr/local/Ascend/cann-9.1.0/set_env.sh",
    npu=False,
)
def sudo_dropped_the_library_path(fake: FakeMachine) -> None:
    fake.not_sourced()
    fake.environ["ASCEND_HOME_PATH"] = str(fake.cann)


@case(1, "cann.half_sourced", mends="source /usr/local/Ascend/cann-9.1.0/set_env.sh")
def only_the_library_path_is_set(fake: FakeMachine) -> None:
    del fake.environ["ASCEND_HOME_PATH"]


@case(2, "cann.stale_variable", mends="unset ASCEND_HOME_PATH && source")
def variable_of_a_removed_cann(fake: FakeMachine) -> None:
    fake.environ["ASCEND_HOME_PATH"] = "/usr/local/Ascend/cann-8.5.0"
    fake.environ["ASCEND_TOOLKIT_HOME"] = str(fake.cann)


@case(1, "cann.disagreement", mends="source /usr/local/Ascend/cann-9.1.0/set_env.sh")
def record_of_another_cann(fake: FakeMachine) -> None:
    other = cann_trees.toolkit(fake.ascend, "8.3.RC1", latest=False)
    cann_trees.record(fake.root / "etc" / "Ascend", f"/{other.relative_to(fake.root)}")


@case(2, "libraries.other_cann", mends="unset LD_LIBRARY_PATH && source")
def libraries_of_another_cann(fake: FakeMachine) -> None:
    other = cann_trees.cann(fake.ascend, "8.5.0", linked=False)
    fake.cann_libraries(other)
    fake.environ["LD_LIBRARY_PATH"] = f"{other}/lib64:{fake.environ['LD_LIBRARY_PATH']}"


@case(1, "cann.runtime_only", mends="bash Ascend-cann-toolkit_9.1.0_linux-x86_64.run --install")
def runtime_without_headers(fake: FakeMachine) -> None:
    fake.remove("usr/local/Ascend/cann-9.1.0/x86_64-linux/include")


@case(
    2,
    "cann.missing",
    "imports.torch",
    "frameworks.disagreement",
    mends="bash Ascend-cann-toolkit_9.1.0_linux-x86_64.run",
    shows="is for aarch64, but this machine is x86_64",
    npu=False,
)
def cann_for_another_architecture(fake: FakeMachine) -> None:
    fake.without_cann()
    cann_trees.cann(fake.ascend, "9.1.0", machine="aarch64")


@case(2, "libraries.missing", mends="Ascend-cann-toolkit_9.1.0_linux-x86_64.run --install")
def cann_with_a_library_missing(fake: FakeMachine) -> None:
    fake.remove("usr/local/Ascend/cann-9.1.0/x86_64-linux/lib64/libgraph.so")


@case(2, "libraries.driver_not_searched", mends="export LD_LIBRARY_PATH=/usr/local/Ascend/driver")
def driver_is_not_on_the_library_path(fake: FakeMachine) -> None:
    fake.environ["LD_LIBRARY_PATH"] = str(fake.cann / "lib64")


@case(2, "libraries.stub", mends="export LD_LIBRARY_PATH=/usr/local/Ascend/driver/lib64:")
def stub_before_the_driver(fake: FakeMachine) -> None:
    library(fake.cann / "devlib" / "libascend_hal.so")
    fake.environ["LD_LIBRARY_PATH"] = f"{fake.cann}/devlib:{fake.environ['LD_LIBRARY_PATH']}"


@case(2, "versions.mismatch", mends="torch==2.12.0+cpu torch_npu==2.12.0 --extra-index-url")
def torch_npu_of_another_torch(fake: FakeMachine) -> None:
    fake.torch("2.13.0+cpu")


@case(2, "versions.mismatch", mends="torch==2.10.0+cpu torch_npu==2.10.0.post6 --extra-index")
def torch_npu_for_an_older_cann(fake: FakeMachine) -> None:
    fake.torch("2.10.0+cpu")
    fake.torch_npu("2.8.0")


@case(
    2,
    "versions.mismatch",
    mends="-m pip install torch==2.10.0 torch_npu==2.10.0.post6",
    architecture="aarch64",
)
def torch_npu_for_an_older_cann_on_aarch64(fake: FakeMachine) -> None:
    """PyPI's torch 2.10 for aarch64 is the build without CUDA."""
    fake.torch("2.10.0")
    fake.torch_npu("2.8.0")


@case(0, architecture="aarch64")
def kunpeng(fake: FakeMachine) -> None:
    """A healthy host with another architecture."""


@case(1, "versions.mismatch", mends="torch==2.12.0+cpu torch_npu==2.12.0.post2")
def torch_npu_newer_than_the_table(fake: FakeMachine) -> None:
    fake.torch("2.13.0+cpu")
    fake.torch_npu("2.13.0")


@case(
    2,
    "versions.no_torch_npu",
    mends="-m pip install torch==2.12.0+cpu torch_npu==2.12.0",
    npu=False,
)
def npus_without_torch_npu(fake: FakeMachine) -> None:
    fake.remove("usr/lib/site-packages/torch_npu")


@case(2, "versions.no_torch", mends="torch_npu==2.12.0.post2 --extra-index-url", npu=False)
def no_torch(fake: FakeMachine) -> None:
    shutil.rmtree(fake.site)
    fake.site.mkdir()


@case(
    2,
    "devices.none",
    "versions.no_torch",
    mends="-m pip install 'torch>=2.10' --index-url https://download.pytorch.org/whl/cpu",
    npu=False,
)
def laptop_without_torch(fake: FakeMachine) -> None:
    laptop(fake)
    no_torch(fake)


@case(2, "versions.old_torch", "versions.mismatch", mends="torch==2.12.0+cpu")
def torch_older_than_the_project_supports(fake: FakeMachine) -> None:
    fake.torch("2.8.0+cpu")
    fake.torch_npu("2.8.0")


@case(1, "versions.mismatch")
def python_without_wheels(fake: FakeMachine) -> None:
    fake.version = (3, 9, 2)


@case(2, "versions.other_device", mends="torch==2.12.0+cpu")
def cuda_beside_an_npu(fake: FakeMachine) -> None:
    fake.torch("2.12.0+cu130")
    fake.write("/dev/nvidia0")


@case(2, "abi.cxx11", mends="install --force-reinstall --no-cache-dir torch==2.12.0+cpu")
def torch_npu_of_the_old_cxx_abi(fake: FakeMachine) -> None:
    fake.torch_npu(undefined=("_ZN3c105ErrorC1ENS_14SourceLocationESs",))


@case(2, "abi.python", mends="--force-reinstall")
def torch_npu_of_another_python(fake: FakeMachine) -> None:
    fake.torch_npu(suffix=fakes.OTHER_SUFFIX)


@case(2, "abi.architecture", mends="--force-reinstall")
def torch_npu_of_another_architecture(fake: FakeMachine) -> None:
    fake.torch_npu(machine="aarch64")


@case(2, "abi.glibc", mends="docker run -it openeuler")
def old_system(fake: FakeMachine) -> None:
    fake.glibc = (2, 17)
