"""How a process gets its emulated NPU: ``ascend-ops emulate``, ``activate``, and the folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
from emulated_process import ascend_ops, outside, start

from ascend_ops import emulator
from ascend_ops.emulator import emulated_cann
from op_builder.cann import CannInstall
from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")


def program(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return outside("-c", textwrap.dedent(code), **variables)


def test_the_exit_status_is_the_programs():
    assert start("raise SystemExit(42)").returncode == 42
    assert start("import os; os.kill(os.getpid(), 15)").returncode == -15


def test_a_program_that_is_not_there_is_named():
    done = ascend_ops("emulate", "--", "no-such-program", "--flag")
    assert done.returncode == 1
    assert "no-such-program" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_describes_the_emulated_cann():
    content = json.loads(ascend_ops("emulate", "--json").stdout)
    assert content["emulated"] is True
    assert (
        content["environment"]["ASCEND_HOME_PATH"] == content["root"] == str(emulated_cann().root)
    )
    assert content["libraries"] == list(map(str, emulated_cann().libraries))
    done = ascend_ops("emulate", "--json", "--", "true")
    assert done.returncode == 2
    assert "--json describes the emulated CANN" in done.stderr


def test_activate_takes_options_as_python_writes_them():
    done = program("""
    from ascend_ops.emulator import activate, is_active
    assert not is_active()
    activate(devices=2, races=True, banner=False)
    import torch, torch_npu
    torch.ones(2).npu()
    print(is_active(), torch.npu.device_count())
    """)
    assert "True 2" in done.stdout, done.stderr
    assert "0 races were reported" in done.stderr
    assert "emulated Ascend910B2" not in done.stderr


@pytest.mark.parametrize("name", emulator.__all__)
def test_the_example_in_the_docstring_runs(name):
    done = program(
        f"""
        import doctest
        from ascend_ops import emulator
        (test,) = doctest.DocTestFinder(recurse=False).find(emulator.{name}, globs={{}})
        assert "Example:" in test.docstring
        print(doctest.DocTestRunner(verbose=False).run(test))
        """
    )
    assert "TestResults(failed=0" in done.stdout, done.stdout + done.stderr


def test_activate_after_torch_npu_is_refused_with_advice():
    done = program(
        """
        import torch_npu
        from ascend_ops.emulator import activate
        import os
        del os.environ["ASCEND_EMULATOR_HOME"]
        activate()
        """,
        **emulated_cann().child_environment({}),
    )
    assert "ActivationError: torch_npu was imported before" in done.stderr
    assert "Call activate first" in done.stderr


def test_options_that_come_too_late_are_refused_and_not_ignored():
    done = program("""
    from ascend_ops.emulator import activate
    activate()
    activate(devices=3, banner=0)
    import torch, torch_npu
    print(torch.npu.device_count())
    activate(devices=3)
    activate(devices=4)
    """)
    assert done.stdout.startswith("3\n"), done.stderr
    assert "Set ASCEND_EMULATOR_DEVICES=4 in the environment, or call activate first" in done.stderr
    late = start("import torch; from ascend_ops.emulator import activate; activate(races=True)")
    assert "Set ASCEND_EMULATOR_RACES=1 in the environment" in late.stderr, late.stderr


def test_a_fork_reads_its_own_options_unless_the_npu_was_used_before():
    done = start(
        """
        import os, torch

        def count_in_fork(devices):
            os.environ["ASCEND_EMULATOR_DEVICES"] = devices
            child = os.fork()
            if child == 0:
                import ctypes
                count = ctypes.c_uint32()
                ctypes.CDLL("libascendcl.so").aclrtGetDeviceCount(ctypes.byref(count))
                os._exit(count.value)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        before = count_in_fork("3"), count_in_fork("4")
        torch.ones(1).npu()
        print(*before, count_in_fork("5"))
        """,
        ASCEND_EMULATOR_DEVICES="2",
    )
    assert done.stdout.split() == ["3", "4", "2"], done.stderr


def test_a_fork_cannot_have_another_soc_than_torch_npu_was_imported_with():
    done = start(
        """
        import os, torch
        if os.fork() == 0:
            os.environ["ASCEND_EMULATOR_SOC"] = "Ascend950PR_9599"
            torch.ones(1).npu()
        os.wait()
        """
    )
    message = "ASCEND_EMULATOR_SOC must be 'Ascend910B2', which was read before the process was"
    assert f"{message} forked, got 'Ascend950PR_9599'" in done.stderr


@pytest.mark.parametrize("version", ["abc", "../../x"])
def test_a_malformed_version_is_refused(version):
    done = ascend_ops("emulate", ASCEND_EMULATOR_CANN_VERSION=version)
    assert done.returncode == 1
    message = "ASCEND_EMULATOR_CANN_VERSION must be a version like 9.1.0 or 8.3.RC1"
    assert f"{message}, got {version!r}" in done.stderr


def test_the_version_is_in_the_folder_and_in_the_process():
    done = start("import torch; torch.ones(1).npu()", ASCEND_EMULATOR_CANN_VERSION="8.3.RC1")
    assert "CANN 8.3.RC1; computed on the CPU" in done.stderr
    cann = emulated_cann({**os.environ, "ASCEND_EMULATOR_CANN_VERSION": "8.3.RC1"})
    assert "version=8.3.RC1" in (cann.root / "ascend_toolkit_install.info").read_text()


def test_the_folder_is_found_as_any_cann_is():
    cann = emulated_cann()
    found = CannInstall.find(cann.child_environment({}))
    assert found.root == cann.root
    assert str(found.version) == cann.version
    for part in ("include/acl/acl.h", "lib64/libascendcl.so", "opp", "runtime", "compiler"):
        assert (cann.root / part).exists()


def test_its_use_keeps_the_folder_from_being_pruned():
    root = emulated_cann().root
    os.utime(root, (0, 0))
    assert emulated_cann().root.stat().st_mtime > 0


def test_the_report_points_to_it_if_cann_is_missing():
    done = ascend_ops("report")
    assert "ascend-ops emulate -- python ..." in " ".join(done.stdout.split())


@pytest.mark.long
def test_what_a_failed_call_leaves_is_not_blamed_on_the_program():
    done = start("import torch; print(torch.zeros(4).npu()[torch.tensor([7]).npu()])")
    assert "aclnnIndex: index 7 is out of bounds" in done.stderr
    assert (
        "left at the end of the process (torch_npu does not destroy the handles of" in done.stderr
    )


MISSING = """
import torch, torch_npu
x = torch.zeros(65536).npu()
out = [torch.zeros(256, dtype=torch.int32).npu(), *torch.zeros(3, 65536).npu().unbind()]
torch_npu.npu_hans_encode(x, out=out)
"""
WHERE_TO_ADD = "aclnnHansEncode is not emulated. To add it, write a row ATEN(aclnnHansEncode, ...)"


def test_a_function_that_is_not_emulated_is_reported_with_the_place_to_add_it():
    done = ascend_ops("emulate", "--", sys.executable, "-c", MISSING)
    assert done.returncode == 1
    name = "aclnnHansEncode"
    assert f"{name} or {name}GetWorkspaceSize not in libopapi.so" in done.stderr  # torch_npu's
    assert done.stderr.count(WHERE_TO_ADD) == 1
    done = program("from ascend_ops.emulator import activate; activate()" + MISSING)
    assert done.stderr.count(WHERE_TO_ADD) == 1


def test_other_errors_are_left_as_they_are():
    done = ascend_ops(
        "emulate", "--", sys.executable, "-c", "raise RuntimeError('aclnnHansEncode')"
    )
    assert done.returncode == 1
    assert "ascend_ops:" not in done.stderr


def test_a_sitecustomize_of_the_programs_own_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('my own')")
    done = ascend_ops("emulate", "--", sys.executable, "-c", "", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "my own\n" * 2  # of ascend-ops, and of the program
