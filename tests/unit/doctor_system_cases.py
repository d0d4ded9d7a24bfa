"""Fake machines whose system, cache, environment or frameworks are at fault."""

from __future__ import annotations

import os
import shutil

import fake_machines as fakes
from doctor_case import CASES, case
from elf_files import library
from fake_machines import FakeMachine, mount


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
