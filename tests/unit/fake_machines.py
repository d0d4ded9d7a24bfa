"""Fake machines for the doctor: folder trees with fake tools, fake wheels and a fake CANN."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cann_trees
from elf_files import library

from ascend_ops.doctor import Machine, Python, User

SUFFIX = ".cpython-311-x86_64-linux-gnu.so"
OTHER_SUFFIX = ".cpython-310-x86_64-linux-gnu.so"
UID = 54321  # not the owner of the files, so that their group decides
MANAGERS = ("davinci_manager", "devmm_svm", "hisi_hdc")
OF_CANN = (
    "libhccl.so",
    "libascendcl.so",
    "libacl_op_compiler.so",
    "libge_runner.so",
    "libgraph.so",
)
CPU_FEATURES = {
    "x86_64": "flags\t\t: fma f16c avx2 avx512f",
    "aarch64": "Features\t: fp asimd asimdhp",
}
FRAMEWORKS = ("transformers", "accelerate", "diffusers", "deepspeed", "lightning")
CXX11 = "_ZN3c105ErrorC1ENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"

SMI = """
/bin/cat <<'END'
+------------------------------------------------------------------------------------------------+
| npu-smi 25.3.rc1                 Version: 25.3.rc1                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B2               | OK            | 92.4        43                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3381 / 65536         |
+===========================+===============+====================================================+
| 1     910B2               | {health}      | 90.1        42                0    / 0             |
| 0                         | 0000:01:00.0  | 0           0    / 0          3381 / 65536         |
+===========================+===============+====================================================+
END
"""

GXX = """
case "$*" in
*-dM*) for each in "" _MINOR=2 _PATCHLEVEL=0; do
    name=${{each%%=*}} value=${{each#*=}}
    echo "#define __GNUC${{name}}__ ${{value:-{major}}}"
  done ;;
*-v*) echo "COLLECT_GCC=$0" ;;
*-dumpmachine*) echo x86_64-test-linux ;;
*-print-prog-name=*) echo "{tools}/${{1#*=}}" ;;
*"-o "*) while [ "$1" != -o ]; do shift; done; : > "$2" ;;
esac
"""
TORCH = "__version__ = {version!r}\n"
TORCH_NPU = """
import os, types
import torch
__version__ = {version!r}
torch.npu = types.SimpleNamespace(is_available=lambda: True, device_count=lambda: {devices})
"""
NO_CANN = "raise ImportError('libhccl.so: cannot open shared object file: No such file')\n"
#: What a torch that imports torch_npu by itself does.
AUTOLOAD = """
import importlib.util, os
__version__ = {version!r}
has_torch_npu = importlib.util.find_spec("torch_npu") is not None
if has_torch_npu and os.environ.get("TORCH_DEVICE_BACKEND_AUTOLOAD", "1") == "1":
    try:
        import torch_npu
    except ImportError as error:
        raise RuntimeError("Failed to load the backend extension: torch_npu") from error
"""
WHOLE = "raise RuntimeError('the whole package was imported')\n"
DECISIONS = {
    "transformers/utils/import_utils.py": """
import importlib.util
def is_torch_npu_available():
    if importlib.util.find_spec("torch_npu") is None:
        return False
    import torch, torch_npu
    return torch.npu.is_available()
""",
    "accelerate/utils/imports.py": """
import torch
def is_npu_available():
    try:
        import torch_npu
    except Exception:
        return False
    return torch.npu.is_available()
""",
    "diffusers/utils/import_utils.py": """
import importlib.util
def is_torch_npu_available():
    return importlib.util.find_spec("torch_npu") is not None
""",
    "deepspeed/accelerator/__init__.py": """
class Accelerator:
    def device_name(self):
        try:
            import torch_npu
        except ImportError:
            return "cpu"
        return "npu"
get_accelerator = Accelerator
""",
    "lightning/fabric/accelerators/cuda.py": "",
    "lightning/fabric/utilities/device_parser.py": """
import torchmetrics
def _select_auto_accelerator():
    return "cpu"
""",
}


@dataclass
class FakeMachine:
    """A machine that can be changed until it is examined.

    Attributes:
        root: The folder that stands for ``/``.
        environ: Its environment.
        groups: The groups of the user; the device nodes belong to the group of this process.
    """

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    groups: frozenset[int] = frozenset({os.getgid()})
    architecture: str = "x86_64"
    version: tuple[int, int, int] = (3, 11, 7)
    glibc: tuple[int, ...] = (2, 34)
    patience: float = 20.0

    @property
    def site(self) -> Path:
        return self.root / "usr" / "lib" / "site-packages"

    @property
    def ascend(self) -> Path:
        return self.root / "usr" / "local" / "Ascend"

    @property
    def cann(self) -> Path:
        return self.ascend / "cann-9.1.0"

    @property
    def bin(self) -> Path:
        return self.root / "usr" / "bin"

    @property
    def home(self) -> Path:
        return self.root / "home" / "someone"

    @property
    def machine(self) -> Machine:
        """The machine as the doctor takes it."""
        python = Python(
            command=(sys.executable, "-S"),
            version=self.version,
            prefix=Path(sys.prefix),
            folders=(str(self.site),),
            suffix=SUFFIX,
        )
        return Machine(
            root=self.root,
            environ=dict(self.environ),
            architecture=self.architecture,
            user=User(UID, UID, self.groups),
            python=python,
            glibc=self.glibc,
            cores=4,
            patience=self.patience,
        )

    def write(self, path: str, *lines: str) -> Path:
        """Write a file of the system."""
        return cann_trees.write(self.root / path.lstrip("/"), *lines)

    def remove(self, *paths: str) -> None:
        """Remove files or folders of the system."""
        for path in paths:
            target = self.root / path.lstrip("/")
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink()

    def script(self, path: str, *lines: str) -> Path:
        """Write a program."""
        file = self.write(path, "#!/bin/sh", *lines)
        file.chmod(0o755)
        return file

    def compiler(self, major: int) -> None:
        """Install a g++ of a version; a shell script, since a probe starts it ten times."""
        for tool in ("as", "ld", "cc1plus"):
            self.script(f"/usr/bin/tools/{tool}", 'echo "GNU ${0##*/} 2.40"')
        self.script("/usr/bin/g++", GXX.format(major=major, tools=self.bin / "tools"))

    def wheel(self, name: str, version: str, code: str, tag: str = "py3-none-any") -> Path:
        """Install a package with its record; ``code`` is its ``__init__.py``."""
        folder = self.site / name
        cann_trees.write(folder / "__init__.py", code.replace("{version!r}", repr(version)))
        cann_trees.write(folder / "version.py", f"__version__ = {version!r}")
        info = self.site / f"{name}-{version}.dist-info"
        cann_trees.write(info / "METADATA", "Metadata-Version: 2.1", f"Name: {name}",
                         f"Version: {version}")  # fmt: skip
        cann_trees.write(info / "WHEEL", "Wheel-Version: 1.0", f"Tag: cp311-cp311-{tag}")
        return folder

    def torch(self, version: str = "2.12.0+cpu", code: str = TORCH) -> None:
        """Install torch."""
        shutil.rmtree(self.site / "torch", ignore_errors=True)
        for old in self.site.glob("torch-*.dist-info"):
            shutil.rmtree(old)
        folder = self.wheel("torch", version, code, "manylinux_2_28_x86_64")
        content = b"__cxx11 GLIBCXX_3.4.21 "
        library(folder / "lib" / "libc10.so", content=content, machine=self.architecture)
        library(folder / f"_C{SUFFIX}", machine=self.architecture)

    def torch_npu(
        self,
        version: str = "2.12.0",
        code: str = TORCH_NPU,
        *,
        devices: int = 2,
        undefined: tuple[str, ...] = (CXX11,),
        machine: str = "",
        suffix: str = SUFFIX,
    ) -> None:
        """Install torch_npu."""
        shutil.rmtree(self.site / "torch_npu", ignore_errors=True)
        for old in self.site.glob("torch_npu-*.dist-info"):
            shutil.rmtree(old)
        code = code.replace("{devices}", str(devices))
        folder = self.wheel("torch_npu", version, code, "manylinux_2_28_x86_64")
        library(
            folder / "lib" / "libtorch_npu.so",
            needed=(*OF_CANN, "libc10.so"),  # which torch has loaded
            rpath="$ORIGIN/../../torch_npu.libs",
            undefined=undefined,
            machine=self.architecture,
        )
        library(folder / f"_C{suffix}", machine=machine or self.architecture)

    def framework(self, name: str, code: str = "") -> None:
        """Install a framework, whose whole import fails: only its decision may be imported."""
        self.wheel(name, "1.2.3", WHOLE)
        for path, text in DECISIONS.items():
            if path.startswith(f"{name}/"):
                for folder in Path(path).parents[:-2]:
                    cann_trees.write(self.site / folder / "__init__.py", WHOLE)
                cann_trees.write(self.site / path, (code or text) if text else "")

    def cann_libraries(self, root: Path) -> None:
        """Write the libraries that torch_npu needs; one of them needs the driver's."""
        machine = self.architecture
        folder = root / f"{machine}-linux" / "lib64"
        for name in OF_CANN:
            needed = ["libascend_hal.so"] if name == "libascendcl.so" else []
            library(folder / name, needed=needed, machine=machine)

    def without_npu(self) -> None:
        """Remove the NPUs and their driver."""
        self.remove("dev", "etc/ascend_install.info", "usr/local/bin/npu-smi")
        shutil.rmtree(self.ascend / "driver")
        self.environ["LD_LIBRARY_PATH"] = self.environ["LD_LIBRARY_PATH"].partition(":")[0]

    def without_cann(self) -> None:
        """Remove CANN and what set_env.sh sets, so that torch_npu cannot be imported."""
        shutil.rmtree(self.cann)
        (self.ascend / "cann").unlink()
        self.not_sourced()

    def not_sourced(self) -> None:
        """Undo what set_env.sh does."""
        del self.environ["ASCEND_HOME_PATH"]
        self.environ["LD_LIBRARY_PATH"] = str(self.ascend / "driver" / "lib64")
        self.torch(code=AUTOLOAD)
        self.torch_npu(code=NO_CANN)

    def in_container(self) -> None:
        """Make it a container."""
        self.write("/.dockerenv")


def healthy(root: Path, architecture: str = "x86_64") -> FakeMachine:
    """Return a machine with two NPUs on which nothing is wrong."""
    fake = FakeMachine(root, architecture=architecture)
    for name in ("davinci0", "davinci1", *MANAGERS):
        fake.write(f"/dev/{name}").chmod(0o660)
    cann_trees.driver(root, "Version=25.3.rc1")
    library(fake.ascend / "driver" / "lib64" / "libascend_hal.so", machine=architecture)
    for useful in ("usr/local/dcmi", "usr/local/bin"):
        (root / useful).mkdir(parents=True, exist_ok=True)
    fake.script("/usr/local/bin/npu-smi", SMI.replace("{health}", "OK    "))
    cann_trees.cann(fake.ascend, "9.1.0", architecture)
    cann_trees.write(fake.cann / "set_env.sh", "# sets the environment")
    fake.cann_libraries(fake.cann)
    fake.script(f"/{(fake.cann / 'bin' / 'bisheng').relative_to(root)}", "echo 'bisheng 15.0.5'")
    fake.bin.mkdir(parents=True)
    fake.compiler(13)
    fake.script("/usr/bin/ninja", "echo 1.11.1")
    fake.write("/usr/bin/dnf").chmod(0o755)
    fake.torch()
    fake.torch_npu()
    fake.wheel("torchmetrics", "1.0", WHOLE)
    for name in FRAMEWORKS:
        fake.framework(name)
    _proc(fake)
    fake.home.mkdir(parents=True)
    folders = [fake.cann / "lib64", fake.ascend / "driver" / "lib64"]
    fake.environ = {
        "HOME": str(fake.home),
        "PATH": f"{root}/usr/local/bin:{fake.bin}",
        "PYTHONPATH": str(fake.site),
        "LD_LIBRARY_PATH": ":".join(map(str, folders)),
        "ASCEND_HOME_PATH": str(fake.cann),
        "TMPDIR": str(root / "tmp"),
        "XDG_RUNTIME_DIR": str(fake.home),
    }
    (root / "tmp").mkdir()
    return fake


def _proc(fake: FakeMachine) -> None:
    fake.write("/proc/meminfo", "MemTotal: 65000000 kB", "MemAvailable: 60000000 kB")
    fake.write("/proc/cpuinfo", "model name\t: Some CPU", CPU_FEATURES[fake.architecture])
    fake.write("/proc/self/mountinfo", mount("/", "ext4"))
    fake.write("/proc/self/cgroup", "0::/")
    fake.write("/sys/fs/cgroup/memory.max", "max")
    fake.write("/etc/group", f"HwHiAiUser:x:{os.getgid()}:", "others:x:4:")


def mount(point: str | Path, kind: str, options: str = "rw,relatime", system: str = "rw") -> str:
    """Return a line of mountinfo."""
    return f"36 35 98:0 / {point} {options} shared:1 - {kind} source {system}"
