"""The table of fake machines and what the doctor must find on each.

A case is a function that changes the healthy machine, with the exit code, all findings that must be
reported (a machine has no others), and a part of a command that mends it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cann_trees
import fake_machines as fakes
from elf_files import library
from fake_machines import FakeMachine, mount

Change = Callable[[FakeMachine], None]
LIGHTNING = "frameworks.lightning"  # true of every machine with a working NPU and Lightning


@dataclass(frozen=True)
class Case:
    """A machine and what must be found.

    Attributes:
        change: Changes the healthy machine.
        exit_code: The doctor's exit code.
        findings: The identifiers of all findings.
        mends: A part of a command in one of them, in which {root} stands for the machine's root.
        shows: A part of what is wrong.
        architecture: The machine's architecture.
    """

    change: Change
    exit_code: int
    findings: frozenset[str]
    mends: str
    shows: str
    architecture: str

    @property
    def name(self) -> str:
        return self.change.__name__


CASES: list[Case] = []


def case(
    exit_code: int,
    *findings: str,
    mends: str = "",
    shows: str = "",
    npu: bool = True,
    architecture: str = "x86_64",
) -> Callable[[Change], Change]:
    """Add a case; with ``npu``, the NPU still works, so that Lightning's note is due."""

    def add(change: Change) -> Change:
        expected = {*findings, *([LIGHTNING] if npu else [])}
        CASES.append(Case(change, exit_code, frozenset(expected), mends, shows, architecture))
        return change

    return add


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


@case(2, "access.denied", mends="sudo usermod --append --groups HwHiAiUser")
def not_in_the_group(fake: FakeMachine) -> None:
    fake.groups = frozenset()


@case(2, "access.denied", mends=f"--group-add {os.getgid()}")
def not_in_the_group_in_a_container(fake: FakeMachine) -> None:
    fake.groups = frozenset()
    fake.in_container()


@case(2, "access.denied", mends="sudo chmod g+rw /dev/davinci1")
def one_node_is_closed(fake: FakeMachine) -> None:
    (fake.root / "dev" / "davinci1").chmod(0o600)


@case(
    2,
    "containers.missing_mounts",
    "environment.missing_library_folders",
    mends="--device /dev/davinci1 --device /dev/davinci_manager",
)
def container_with_missing_mounts(fake: FakeMachine) -> None:
    fake.in_container()
    fake.remove("dev/devmm_svm", "usr/local/dcmi", "etc/ascend_install.info")
    shutil.rmtree(fake.ascend / "driver" / "lib64")


@case(1, "containers.missing_mounts", mends="-v /usr/local/dcmi:/usr/local/dcmi:ro")
def container_without_dcmi(fake: FakeMachine) -> None:
    fake.in_container()
    fake.remove("usr/local/dcmi")


@case(1, "containers.no_devices", mends="docker run -it --device /dev/davinci0")
def container_without_devices(fake: FakeMachine) -> None:
    fake.without_npu()
    fake.write("/proc/1/cgroup", "12:memory:/kubepods/burstable/pod1")
    fake.torch_npu(devices=0)


@case(2, "devices.not_loaded", mends="npu-driver_*_linux-x86_64.run --full")
def npu_without_a_driver(fake: FakeMachine) -> None:
    fake.without_npu()
    fake.write("/sys/bus/pci/devices/0000:c1:00.0/vendor", "0x19e5")
    fake.write("/sys/bus/pci/devices/0000:c1:00.0/class", "0x120000")


@case(2, "devices.driver_without_device", mends="sudo reboot")
def driver_that_is_not_loaded(fake: FakeMachine) -> None:
    fake.remove("dev")


@case(1, "devices.npu_smi_missing", mends="export PATH=")
def no_npu_smi(fake: FakeMachine) -> None:
    fake.remove("usr/local/bin/npu-smi")


@case(2, "devices.npu_smi_fails", mends="npu-smi info", shows="dcmi module initialize failed")
def npu_smi_fails(fake: FakeMachine) -> None:
    fake.script("/usr/local/bin/npu-smi", "echo 'dcmi module initialize failed. ret is -8005'",
                "exit 5")  # fmt: skip


@case(2, "devices.npu_smi_hangs", mends="dmesg", shows="npu-smi did not answer within 10 s")
def npu_smi_hangs(fake: FakeMachine) -> None:
    fake.script("/usr/local/bin/npu-smi", "exec /bin/sleep 1000")
    fake.patience = 10.0


@case(2, "devices.unhealthy", mends="npu-smi info -t health -i 1")
def sick_npu(fake: FakeMachine) -> None:
    fake.script("/usr/local/bin/npu-smi", fakes.SMI.replace("{health}", "Alarm "))


@case(2, "devices.visible", mends="unset ASCEND_RT_VISIBLE_DEVICES")
def devices_that_do_not_exist(fake: FakeMachine) -> None:
    fake.environ["ASCEND_RT_VISIBLE_DEVICES"] = "0,7"


@case(2, "imports.no_device", mends="npu-smi info", npu=True)
def torch_npu_finds_no_device(fake: FakeMachine) -> None:
    fake.torch_npu(devices=0)


@case(2, "compiler.missing", mends="sudo dnf install -y gcc-c++")
def no_compiler(fake: FakeMachine) -> None:
    fake.remove("usr/bin/g++")


@case(
    2,
    "compiler.missing",
    mends="sudo apt-get install -y g++",
    shows="is gcc 8.2.0, but must be 9.0 or newer",
)
def old_compiler(fake: FakeMachine) -> None:
    fake.compiler(8)
    fake.remove("usr/bin/dnf")
    fake.write("/usr/bin/apt-get")


@case(0, "compiler.missing", "compiler.ninja_missing")
def no_compiler_and_no_jit(fake: FakeMachine) -> None:
    fake.remove("usr/bin/g++", "usr/bin/ninja")
    fake.environ["ASCEND_OPS_JIT"] = "0"


@case(2, "compiler.ninja_missing", mends="install 'ninja>=1.11'")
def no_ninja(fake: FakeMachine) -> None:
    fake.remove("usr/bin/ninja")


@case(2, "compiler.launcher", mends="unset ASCEND_OPS_COMPILER_LAUNCHER")
def launcher_that_is_not_installed(fake: FakeMachine) -> None:
    fake.environ["ASCEND_OPS_COMPILER_LAUNCHER"] = "sccache"


@case(1, "compiler.bisheng_fails", mends="ldd ")
def broken_bisheng(fake: FakeMachine) -> None:
    fake.script("/usr/local/Ascend/cann-9.1.0/bin/bisheng", "echo 'no libtinfo.so.5'", "exit 1")


@case(0, "compiler.bisheng_missing", mends="--full")
def no_bisheng(fake: FakeMachine) -> None:
    fake.remove("usr/local/Ascend/cann-9.1.0/bin")


@case(1, "cpu.no_avx2", mends="host-passthrough")
def virtual_machine_without_avx2(fake: FakeMachine) -> None:
    fake.write("/proc/cpuinfo", "model name : QEMU", "flags : sse4_2 hypervisor")


@case(1, "memory.little", mends="docker run --memory 16g")
def small_container(fake: FakeMachine) -> None:
    fake.write("/sys/fs/cgroup/memory.max", str(1 << 30))
    fake.write("/sys/fs/cgroup/memory.current", str(1 << 29))


@case(1, "memory.few_processes", mends="--pids-limit -1")
def few_processes(fake: FakeMachine) -> None:
    fake.write("/sys/fs/cgroup/pids.max", "100")
    fake.write("/sys/fs/cgroup/pids.current", "90")


@case(1, "memory.shared", mends="--shm-size 16g")
def small_shared_memory(fake: FakeMachine) -> None:
    fake.in_container()
    shared = mount("/dev/shm", "tmpfs", system="rw,size=65536k")
    fake.write("/proc/self/mountinfo", mount("/", "overlay"), shared)


@case(2, "cache.noexec", mends="export ASCEND_OPS_CACHE_DIR=")
def home_is_noexec(fake: FakeMachine) -> None:
    home = mount(fake.home, "ext4", "rw,noexec")
    fake.write("/proc/self/mountinfo", mount("/", "ext4"), home)


@case(0, "cache.network", mends="export ASCEND_OPS_CACHE_DIR=")
def home_is_on_nfs(fake: FakeMachine) -> None:
    fake.environ["XDG_RUNTIME_DIR"] = ""
    home = mount(fake.home, "nfs4")
    fake.write("/proc/self/mountinfo", mount("/", "ext4"), home)


@case(1, "cache.network_locks", mends="unset ASCEND_OPS_LOCK_DIR")
def locks_are_on_nfs(fake: FakeMachine) -> None:
    fake.environ["ASCEND_OPS_LOCK_DIR"] = str(fake.root / "shared")
    fake.write("/proc/self/mountinfo", mount("/", "ext4"), mount(fake.root / "shared", "nfs4"))


@case(1, "cache.read_only", mends="export ASCEND_OPS_CACHE_DIR=")
def home_is_read_only(fake: FakeMachine) -> None:
    fake.write("/proc/self/mountinfo", mount("/", "ext4"), mount(fake.home, "ext4", "ro"))


@case(2, "cache.unsafe", mends="chmod go-w {root}/home/someone/.cache/ascend_ops")
def cache_that_others_can_write(fake: FakeMachine) -> None:
    cache = fake.home / ".cache" / "ascend_ops"
    cache.mkdir(parents=True)
    cache.chmod(0o777)


@case(2, "cache.unsafe", mends="chmod go-w {root}/shared")
def parent_of_the_cache_that_others_can_write(fake: FakeMachine) -> None:
    shared = fake.root / "shared"
    (shared / "cache").mkdir(parents=True)
    shared.chmod(0o777)
    fake.environ["ASCEND_OPS_CACHE_DIR"] = str(shared / "cache")


@case(2, "cache.unsafe", mends='sudo chown "$(id -un)" {root}/home/someone/.cache/ascend_ops')
def cache_of_another_user(fake: FakeMachine) -> None:
    cache = fake.home / ".cache" / "ascend_ops"
    cache.mkdir(parents=True)
    os.chown(cache, 12345, -1)


if os.geteuid() != 0:
    CASES.pop()  # only root can give a folder to another user


@case(2, "cache.variable", mends="unset ASCEND_OPS_CACHE_DIR")
def relative_cache(fake: FakeMachine) -> None:
    fake.environ["ASCEND_OPS_CACHE_DIR"] = "cache"


@case(1, "environment.preload_missing", "environment.preload_foreign", mends="unset LD_PRELOAD")
def preload_of_a_removed_library(fake: FakeMachine) -> None:
    fake.environ["LD_PRELOAD"] = "/nowhere/libtorch_cpu.so"


@case(
    1,
    "environment.relative_library_path",
    "environment.missing_library_folders",
    mends="export LD_LIBRARY_PATH=",
)
def current_folder_on_the_library_path(fake: FakeMachine) -> None:
    fake.environ["LD_LIBRARY_PATH"] += "::/no/such/folder"


@case(2, "environment.other_torch", mends="export LD_LIBRARY_PATH=")
def libraries_of_another_torch(fake: FakeMachine) -> None:
    library(fake.root / "old" / "libc10.so")
    fake.environ["LD_LIBRARY_PATH"] += f":{fake.root}/old"


@case(2, "environment.old_cxx_library", mends="export LD_LIBRARY_PATH=")
def old_cxx_library_of_conda(fake: FakeMachine) -> None:
    library(fake.root / "conda" / "libstdc++.so.6", content=b"GLIBCXX_3.4.9 GLIBCXX_3.4.20 ")
    fake.environ["LD_LIBRARY_PATH"] += f":{fake.root}/conda"


@case(1, "environment.python_path", mends="export PYTHONPATH=")
def packages_of_another_python(fake: FakeMachine) -> None:
    other = fake.root / "usr" / "lib" / "python3.9" / "site-packages"
    other.mkdir(parents=True)
    fake.environ["PYTHONPATH"] += f":{other}"


@case(1, "pythons.first_lacks_packages", mends='export PATH="')
def another_python_is_first(fake: FakeMachine) -> None:
    answer = '{"version": [3, 9, 2], "prefix": "/usr", "packages": {"torch": false}}'
    fake.script("/usr/bin/python", f"echo '{answer}'")


@case(1, "pythons.first_fails", mends='export PATH="')
def first_python_does_not_run(fake: FakeMachine) -> None:
    fake.script("/usr/bin/python3", "exit 127")


@case(1, "pythons.other_pip", mends="-m pip install ...")
def pip_of_another_python(fake: FakeMachine) -> None:
    file = fake.write("/usr/bin/pip", "#!/usr/elsewhere/bin/python3.9")
    file.chmod(0o755)


@case(1, "pythons.not_activated", mends="/venv/bin/python -m ascend_ops doctor")
def activated_environment_is_not_used(fake: FakeMachine) -> None:
    fake.environ["VIRTUAL_ENV"] = "/venv"


@case(1, "pythons.twice", mends="pip uninstall -y torch_npu && ")
def torch_npu_is_installed_twice(fake: FakeMachine) -> None:
    shutil.copytree(
        fake.site / "torch_npu-2.12.0.dist-info", fake.site / "torch_npu-2.9.0.dist-info"
    )
    metadata = fake.site / "torch_npu-2.9.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: torch_npu\nVersion: 2.9.0\n")


@case(
    2,
    "imports.torch",
    mends="-X faulthandler -c 'import torch'",
    shows="`import torch` was killed by SIGILL (the CPU lacks an instruction",
    npu=False,
)
def importing_torch_is_killed(fake: FakeMachine) -> None:
    fake.torch(code="import os; os.kill(os.getpid(), 4)\n")


@case(
    2,
    "imports.torch",
    mends="-X faulthandler",
    shows="`import torch` did not answer within 10 s",
    npu=False,
)
def importing_torch_hangs(fake: FakeMachine) -> None:
    fake.torch(code="import time; time.sleep(1000)\n")
    fake.patience = 10.0


@case(2, "imports.torch_npu", mends="export LD_PRELOAD=/usr/lib/libgomp.so.1", npu=False)
def thread_local_memory_is_used_up(fake: FakeMachine) -> None:
    for name in fakes.FRAMEWORKS:
        shutil.rmtree(fake.site / name)
    error = "/usr/lib/libgomp.so.1: cannot allocate memory in static TLS block"
    fake.torch_npu(code=f"raise ImportError({error!r})\n")


@case(
    1,
    "frameworks.died",
    mends="python -X faulthandler -c 'import deepspeed'",
    shows="deepspeed gave no decision: its process did not answer within 10 s",
)
def a_framework_hangs(fake: FakeMachine) -> None:
    fake.framework("deepspeed", "import time; time.sleep(1000)\n")
    fake.patience = 10.0


@case(1, "frameworks.died", mends="'import accelerate'", shows="its process was killed by SIGSEGV")
def a_framework_crashes(fake: FakeMachine) -> None:
    fake.framework("accelerate", "import os; os.kill(os.getpid(), 11)\n")


def by_name(name: str) -> Case:
    """Return a case."""
    return next(each for each in CASES if each.name == name)


def root_of(case: Case, root: Path) -> str:
    """Return the command that mends a machine whose root is ``root``."""
    return case.mends.replace("{root}", str(root))
