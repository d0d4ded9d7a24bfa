"""CMake projects of kernels in Ascend C are built against the emulated CANN and run on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from emulated_process import ascend_ops, run, shell

from op_builder.cann.npu_arch import ARCHS
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = [
    pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed"),
    pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed"),
]
PROJECTS = Path(__file__).resolve().parent / "cmake_projects"


def after_set_env(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the environment of the emulated CANN's ``set_env.sh``."""
    return shell(f". $ASCEND_HOME_PATH/set_env.sh && {command}", folder)


def copied(name: str, folder: Path) -> Path:
    """Copy a project with the headers that it shares, and return its folder."""
    shutil.copytree(PROJECTS, folder, dirs_exist_ok=True)
    return folder / name


def built(name: str, folder: Path, options: str = "") -> Path:
    """Copy and build a project, and return its folder."""
    project = copied(name, folder)
    done = after_set_env(f"cmake -S . -B build {options} && cmake --build build", project)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def ran(command: str, folder: Path) -> list[str]:
    """Run a program and return its lines."""
    done = after_set_env(command, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    return built("language", folder, "-DCMAKE_BUILD_TYPE=Release")


@pytest.mark.parametrize("program", ["program", "two_languages"])
def test_a_program_with_the_language_asc_runs(language: Path, program: str) -> None:
    assert ran(f"build/{program}", language) == [f"{program.replace('_', ' ')}: code 0, wrong 0"]


def test_a_library_of_the_language_asc_is_called_by_ctypes(language: Path) -> None:
    code = f"""
        import ctypes, torch, torch_npu
        library = ctypes.CDLL({str(language / "build" / "libfor_ctypes.so")!r})
        x, y = torch.arange(4096.0).npu(), torch.ones(4096).npu()
        z = torch.empty_like(x)
        stream = ctypes.c_void_p(torch.npu.current_stream().npu_stream)
        library.add(2, stream, *(ctypes.c_void_p(t.data_ptr()) for t in (x, y, z)), x.numel())
        print(torch.equal(z, x + y))
        """
    done = run(code)
    assert done.stdout == "True\n", done.stderr


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    return built("library", folder, f"-DCMAKE_INSTALL_PREFIX={folder / 'out'}")


def test_the_launch_functions_of_ascendc_library_launch(library: Path) -> None:
    lines = ran("build/main", library)
    assert lines == [
        "add_custom: code 0, wrong 0",
        "add_float: code 0, wrong 0",
        "workspace: code 0, wrong 0",
        "no blocks: 507000",
    ]


def test_each_kernel_has_a_header_and_templates_have_none(library: Path) -> None:
    headers = library / "build" / "include"
    assert sorted(str(file.relative_to(headers)) for file in headers.rglob("*.h")) == [
        "kernels_npu/aclrtlaunch_add_custom.h",
        "kernels_npu/aclrtlaunch_add_float.h",
        "workspace_kernels/aclrtlaunch_add_with_workspace.h",
    ]


def test_a_binary_of_ascendc_fatbin_library_is_loaded(library: Path) -> None:
    binary = library.parent / "out" / "fatbin" / "binary" / "binary.o"
    assert ran(f"build/loader {binary}", library) == ["binary: code 0, wrong 0"]


def test_the_install_has_libraries_and_headers(library: Path) -> None:
    done = after_set_env("cmake --install build", library)
    assert done.returncode == 0, done.stderr
    out = library.parent / "out"
    assert len(list(out.glob("lib*/libkernels_npu.a"))) == 1
    assert (out / "include" / "kernels_npu" / "aclrtlaunch_add_custom.h").is_file()


@pytest.mark.skipif(shutil.which("ninja") is None, reason="ninja is not installed")
def test_an_edit_of_a_header_rebuilds_a_shared_library_of_kernels(tmp_path: Path) -> None:
    options = "-G Ninja -DKERNEL_LIBRARY=SHARED -DMODULES=tools/tikcpp/ascendc_kernel_cmake"
    project = built("library", tmp_path, f"{options} -DCMAKE_INSTALL_PREFIX={tmp_path / 'out'}")
    program = "LD_LIBRARY_PATH=build/lib:$LD_LIBRARY_PATH build/main"
    assert ran(program, project)[0] == "add_custom: code 0, wrong 0"

    header = tmp_path / "common" / "add_tiles.h"
    header.write_text(header.read_text().replace("AscendC::Add(", "AscendC::Sub("))
    done = after_set_env(f"cmake --build build && {program}", project)
    assert "add_custom: code 0, wrong 8192" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("ninja") is None, reason="ninja is not installed")
def test_a_caller_of_other_parameters_does_not_link_until_it_is_compiled_again(
    tmp_path: Path,
) -> None:
    """Ninja knows of the changed header only in the next build."""
    options = f"-G Ninja -DCMAKE_INSTALL_PREFIX={tmp_path / 'out'}"
    project = built("library", tmp_path, options)
    kernel = project / "with_workspace.cpp"
    text = kernel.read_text()
    assert "add_with_workspace(" in text
    kernel.write_text(text.replace("add_with_workspace(", "add_with_workspace(float unused, "))

    done = after_set_env("cmake --build build", project)
    assert done.returncode != 0
    assert re.search(
        "undefined reference to .aclrtlaunch_add_with_workspace__parameters_changed_build_again__",
        done.stdout,
    ), done.stdout
    done = after_set_env("cmake --build build", project)
    assert re.search(r"main\.cpp:\d+:\d+: error: cannot convert", done.stdout), done.stdout


@pytest.mark.parametrize("name", ["language", "library"])
def test_an_error_in_a_kernel_is_shown_with_file_and_line(name: str, tmp_path: Path) -> None:
    project = copied(name, tmp_path)
    header = tmp_path / "common" / "add_tiles.h"
    lines = header.read_text().splitlines()
    at = next(number for number, line in enumerate(lines, 1) if "AscendC::Add(" in line)
    header.write_text(header.read_text().replace("AscendC::Add(", "AscendC::NoSuchFunction("))
    done = after_set_env("cmake -S . -B build && cmake --build build", project)
    assert done.returncode != 0
    assert re.search(
        rf"common/add_tiles\.h:{at}:\d+: error: .NoSuchFunction. is not a member", done.stderr
    ), done.stderr
    assert "may lack NoSuchFunction. To add a function of Ascend C, see" in done.stderr


ASCENDC = "include($ENV{ASCEND_HOME_PATH}/%s/ascendc.cmake)"
LIBRARY = ASCENDC % "compiler/tikcpp/ascendc_kernel_cmake"
PATH = "set(ASCEND_CANN_PACKAGE_PATH $ENV{ASCEND_HOME_PATH})"
SOC = "set(SOC_VERSION Ascend910B2)"
WRONG = {
    "no_cann": (
        f"{SOC}\n{LIBRARY}",
        'ASCEND_CANN_PACKAGE_PATH must be the folder of a CANN, got ""',
    ),
    "no_soc": (f"{PATH}\n{LIBRARY}", 'SOC_VERSION must be the whole name of a SoC, .*got ""'),
    "unknown_soc": (
        f"{PATH}\nset(SOC_VERSION Ascend777)\n{LIBRARY}",
        r'one of Ascend910B\* \(dav-2201\) .*got "Ascend777"',
    ),
    "cpu": (f"{PATH}\n{SOC}\nset(RUN_MODE cpu)\n{LIBRARY}", 'RUN_MODE must be npu, got "cpu"'),
    "sim": (f"{PATH}\n{SOC}\nset(RUN_MODE sim)\n{LIBRARY}", 'RUN_MODE must be npu, got "sim"'),
    "cpu_language": (
        "set(CMAKE_ASC_RUN_MODE cpu)\nfind_package(ASC REQUIRED)",
        "CMAKE_ASC_RUN_MODE must be npu, got",
    ),
    "cpu_library": (
        "find_package(tikicpulib REQUIRED)",
        "tikicpulib, CANN's library that runs kernels on the CPU, is not in the emulated CANN",
    ),
    "cpu_library_by_its_folder": (
        "find_package(tikicpulib REQUIRED NO_DEFAULT_PATH PATHS "
        "$ENV{ASCEND_HOME_PATH}/tools/tikicpulib/lib/cmake)",
        "tikicpulib, CANN's library that runs kernels on the CPU, is not in the emulated CANN",
    ),
    "object_library": (
        "find_package(ASC REQUIRED)\nascendc_library(k OBJECT add.cpp)",
        "the type of k must be STATIC or SHARED, got OBJECT",
    ),
    "no_sources": (
        "find_package(ASC REQUIRED)\nascendc_library(k STATIC)",
        "k must have at least one source",
    ),
    "no_scope": (
        "find_package(ASC REQUIRED)\nascendc_include_directories(k include)",
        'the second argument must be PRIVATE, PUBLIC or INTERFACE, got "include"',
    ),
    "workspace_of_a_binary": (
        "find_package(ASC REQUIRED)\nenable_language(ASC)\nascendc_fatbin_library(k add.cpp)\n"
        "ascendc_compile_definitions(k PRIVATE -DHAVE_WORKSPACE)",
        "HAVE_WORKSPACE is emulated for ascendc_library only, and k is a binary",
    ),
    "op_package": (
        "find_package(ASC REQUIRED)\nnpu_op_package(mine TYPE RUN)",
        "npu_op_package is not emulated: the emulated CANN builds no packages of aclnn functions",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_use_is_refused_while_cmake_configures(case: str, tmp_path: Path) -> None:
    text, message = WRONG[case]
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(wrong LANGUAGES NONE)\n{text}\n"
    )
    done = after_set_env("cmake -S . -B build", tmp_path)
    assert done.returncode != 0
    assert re.search(message, " ".join(done.stderr.split())), done.stderr


@pytest.mark.parametrize(
    "place",
    [
        "compiler/tikcpp/ascendc_kernel_cmake",
        "tools/tikcpp/ascendc_kernel_cmake",
        "ascendc_devkit/tikcpp/samples/cmake",
        "$ENV{ARCH}-linux/tikcpp/ascendc_kernel_cmake",
    ],
)
def test_the_modules_are_in_each_place_where_projects_look(place: str, tmp_path: Path) -> None:
    """The SoC is written in lower case, as some projects do."""
    arch = next(arch for arch in ARCHS if "Ascend310P" in arch.socs)
    text = [PATH, "set(SOC_VERSION ascend310p3)", ASCENDC % place]
    text += [
        "get_property(found GLOBAL PROPERTY ASCENDC_ARCH_OPTION)",
        'message(STATUS "${found}")',
    ]
    (tmp_path / "CMakeLists.txt").write_text(
        "\n".join(["cmake_minimum_required(VERSION 3.16)", "project(places NONE)", *text])
    )
    done = after_set_env("ARCH=$(uname -m) cmake -S . -B build", tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"--npu-arch={arch.name}" in done.stdout


def test_find_package_finds_the_language_under_emulate(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        "find_package(ASC REQUIRED)\nproject(found LANGUAGES ASC)\n"
    )
    done = ascend_ops("emulate", "--", "cmake", "-S", str(tmp_path), "-B", str(tmp_path / "build"))
    assert done.returncode == 0, done.stderr
    assert "The ASC compiler is" in done.stdout


def test_find_package_takes_the_folder_as_a_hint(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\n"
        "find_package(ASC REQUIRED HINTS $ENV{HINT})\nproject(hint LANGUAGES ASC)\n"
    )
    hint = "HINT=$ASCEND_HOME_PATH/$(uname -m)-linux/lib64/cmake"
    done = shell(f"{hint} cmake -S . -B build", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The ASC compiler is" in done.stdout
