"""What is in the folder of an emulated CANN: the layout that programs and build scripts expect."""

from __future__ import annotations

import contextlib
import platform
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from op_builder.ops.emulator import ACL_HEADERS, HCCL_HEADERS
from op_builder.ops.own_op import OwnOp
from op_builder.system import file_identity, process

from . import cmake_modules
from .aclnn_headers import write_headers
from .declarations import read_declarations
from .kernel_headers import write_kernel_headers

#: CANN's names for libraries whose functions the emulator has in another one.
ALIASES = {
    "libacl_rt.so": "libascendcl.so",
    "libacl_tdt_queue.so": "libascendcl.so",
    "libascend_hal.so": "libascendcl.so",
    "libmsprofiler.so": "libascendcl.so",
    "libnnopbase.so": "libopapi.so",
    "libopapi_cv.so": "libopapi.so",
    "libopapi_math.so": "libopapi.so",
    "libopapi_nn.so": "libopapi.so",
    "libopapi_transformer.so": "libopapi.so",
}
_MSPROF = """#!/bin/sh
# msprof of the emulated CANN, for torch_npu.profiler: it exports a profile that aclprofStop wrote.
for argument; do
    case "$argument" in
        --output=*) profile=${argument#--output=} ;;
        --export=on | --analyze=on) action=$argument ;;
        *) echo "[emulated NPU] msprof does not have the argument $argument" >&2; exit 1 ;;
    esac
done
if [ ! -d "$profile/emulated" ]; then
    echo "[emulated NPU] --output must be a profile of the emulated NPU, got '$profile'" >&2
    exit 1
fi
if [ "$action" = --export=on ]; then
    mkdir -p "$profile/mindstudio_profiler_output"
    cp "$profile/emulated/"* "$profile/mindstudio_profiler_output/"
    # A thread of torch_npu looks for them every 0.1 s; half a second after this command's end
    # torch_npu stops waiting for it, and leaves its trace unfinished.
    sleep 1
fi
"""
_PACKAGE = Path(__file__).resolve().parents[1]

_INSTALL_INFO = """package_name=Ascend-cann-toolkit
version={version}
innerversion=emulated
compatible_version=[V100]
arch={arch}
os=linux
path={path}
"""
_VERSION_CFG = """# version: 1.0
runtime_running_version=[emulated:{version}]
compiler_running_version=[emulated:{version}]
opp_running_version=[emulated:{version}]
toolkit_running_version=[emulated:{version}]
"""
_NPU_SMI = """#!/bin/sh
# npu-smi of the emulated CANN, which describes all emulated devices.
unset ASCEND_RT_VISIBLE_DEVICES
export ASCEND_EMULATOR_BANNER=0 ASCEND_EMULATOR_LEAKS=0 PYTHONPATH={package_root}
exec {python} -m ascend_ops.emulator.npu_smi {library} "$@"
"""
# Isolated from the user's Python settings, and independent of what is installed.
_COMPILER_PROGRAM = """import sys
sys.path.insert(0, {package_root!r})
from pathlib import Path
from ascend_ops.emulator.bisheng.{module} import main
sys.exit(main(Path({root!r}), sys.argv[1:]))
"""


def digest() -> str:
    """Return a digest of whatever decides the folder's content besides its libraries."""
    headers = sorted(_own_headers().rglob("*.h"))
    modules = sorted(Path(__file__).parent.glob("*_headers.*"))
    compiler = sorted(Path(__file__).with_name("bisheng").glob("*.py"))
    files = [*headers, *modules, *compiler, *cmake_modules.module_sources(), Path(__file__)]
    files += map(Path(__file__).with_name, ("cmake_modules.py", "declarations.py"))
    parts = [str(_PACKAGE), process.interpreter(), cmake_modules.socs()]
    parts += map(file_identity.digest_file, files)
    return file_identity.digest_bytes("\n".join(parts).encode())


def write_cann(
    folder: Path,
    root: Path,
    version: str,
    libraries: Mapping[str, Path],
    *,
    torch_libraries: Path,
    torch_npu: Path,
    variables: Mapping[str, str],
) -> None:
    """Write the content of an emulated CANN.

    Args:
        folder: The folder to create.
        root: The folder's path once it is complete.
        version: The version of CANN that it reports.
        libraries: The file of each library, by its name in ``lib64``.
        torch_libraries: The folder of torch's libraries, with which libopapi.so is loaded.
        torch_npu: The package whose AscendCL headers the folder offers.
        variables: The environment variables that ``set_env.sh`` sets.

    Raises:
        CommandError: libopapi.so cannot be loaded.
    """
    for name in ("lib64", "opp", "runtime", "compiler", "bin", "include"):
        (folder / name).mkdir(parents=True)
    for library, file in libraries.items():
        _place(file, folder / "lib64" / library)
    for alias, library in ALIASES.items():
        (folder / "lib64" / alias).symlink_to(library)
    _link(folder / "lib64" / "torch", torch_libraries)  # in libopapi.so's search path
    _write_includes(folder / "include", torch_npu)
    write_headers(
        folder / "include" / "aclnnop", read_declarations(folder / "lib64" / "libopapi.so")
    )
    _link_other_paths(folder)
    text = {"version": version, "arch": platform.machine(), "path": root}
    _write(folder / "ascend_toolkit_install.info", _INSTALL_INFO.format(**text))
    _write(folder / "version.cfg", _VERSION_CFG.format(**text))
    _write(folder / "set_env.sh", _set_env(root, variables))
    npu_smi = folder / "bin" / "npu-smi"
    library = str(root / "lib64" / "libascendcl.so")
    package_root, python = str(_PACKAGE.parent), process.interpreter()
    values = {"package_root": package_root, "python": python, "library": library}
    quoted = {name: shlex.quote(value) for name, value in values.items()}
    _write(npu_smi, _NPU_SMI.format(**quoted))
    npu_smi.chmod(0o755)
    _write_msprof(folder)
    cmake_modules.write_cmake_modules(folder)
    _write_compiler_program(folder / "bin" / "bisheng", "driver", root)
    _write_compiler_program(folder / "bin" / "ld.lld", "linker", root)


def _write_msprof(folder: Path) -> None:
    """Write the command, and the file that torch_npu requires beside it."""
    tools = folder / "tools" / "profiler"
    script = tools / "profiler_tool" / "analysis" / "msprof" / "msprof.py"
    for place in (tools / "bin" / "msprof", script):
        place.parent.mkdir(parents=True)
        _write(place, _MSPROF)
        place.chmod(0o755)
    (folder / "bin" / "msprof").symlink_to(Path("..", "tools", "profiler", "bin", "msprof"))


def _write_compiler_program(program: Path, module: str, root: Path) -> None:
    """Write the compiler for kernels in Ascend C or its linker, programs of this package."""
    code = _COMPILER_PROGRAM.format(
        package_root=str(_PACKAGE.parent), module=module, root=str(root)
    )
    command = shlex.join([process.interpreter(), "-I", "-c", code])
    _write(program, f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o755)


def _own_headers() -> Path:
    return OwnOp().source_root() / "emulator" / "include"


def _write_includes(folder: Path, torch_npu: Path) -> None:
    """Combine the headers of the torch_npu wheel with those of this project."""
    for part in (torch_npu / ACL_HEADERS, torch_npu / HCCL_HEADERS):
        for entry in part.iterdir():
            if entry.is_dir():
                _link_content(folder / entry.name, entry)  # a folder, since ours are put into it
    _link(folder / "third_party", torch_npu / "include" / "third_party")  # hccl.h includes it
    shutil.copytree(_own_headers(), folder, dirs_exist_ok=True)
    write_kernel_headers(folder)
    _link(folder / "aclnn" / "opdev", Path("..", "opdev"))


def _link_other_paths(folder: Path) -> None:
    """Add the paths that build scripts of other CANN versions use for the same folders."""
    _link(folder / "runtime" / "lib64", Path("..", "lib64"))
    arch = folder / f"{platform.machine()}-linux"
    arch.mkdir()
    for name, target in (("include", "include"), ("lib64", "lib64"), ("devlib", "lib64")):
        _link(arch / name, Path("..", target))
    (folder / "bin" / "setenv.bash").symlink_to(Path("..", "set_env.sh"))


def _set_env(root: Path, variables: Mapping[str, str]) -> str:
    """Return the script with which a shell uses the emulated CANN."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    parts = {"LD_LIBRARY_PATH": "lib64", "PATH": "bin", "CMAKE_PREFIX_PATH": "lib64/cmake"}
    for name, part in parts.items():
        path = shlex.quote(str(root / part))
        lines.append(f"export {name}={path}${{{name}:+:${name}}}")
    return "# Use this emulated CANN in a shell: . set_env.sh\n" + "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _link(place: Path, target: Path) -> None:
    place.symlink_to(target, target_is_directory=True)


def _link_content(place: Path, target: Path) -> None:
    place.mkdir()
    for entry in target.iterdir():
        (place / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())


def _place(library: Path, place: Path) -> None:
    """Hard-link the file if possible, so that it outlives a pruned entry, or copy it."""
    with contextlib.suppress(OSError):
        place.hardlink_to(library)
        return
    shutil.copy2(library, place)
