"""Whether an NPU is available: ascend_ops.npu, and what five frameworks decide without CANN."""

from __future__ import annotations

import doctest
import importlib.util
import json
import subprocess
import sys

import pytest
import torch
from emulated_process import outside, outside_environment, start
from limits import HANG_SECONDS

from ascend_ops import npu
from ascend_ops.npu import availability
from op_builder.toolchain.torch_install import find_torch_npu

needs_torch_npu = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

_REPORT = """
import json, sys
from ascend_ops import npu
found = npu.is_available()
answers = [found.package, found.cann, found.device, bool(found), found.reason, str(found)]
print(json.dumps([answers, npu.device_count(), sorted({"torch", "torch_npu"} & set(sys.modules))]))
"""


@needs_torch_npu
@pytest.mark.parametrize("autoload", ["0", "1"])
def test_without_cann_the_answer_has_a_reason_and_torch_remains_usable(
    autoload: str,
) -> None:
    use = "npu.empty_cache()\nimport os; os.environ['TORCH_DEVICE_BACKEND_AUTOLOAD'] = '0'\n"
    use += "import torch\n"
    use += "try:\n    npu.memory_info()\nexcept npu.NotAvailableError as error:\n    print(error)\n"
    done = outside("-c", _REPORT + use, TORCH_DEVICE_BACKEND_AUTOLOAD=autoload)
    assert done.returncode == 0, done.stderr
    first, error = done.stdout.splitlines()
    answers, count, imported = json.loads(first)
    *given, reason, text = answers
    assert given == [True, False, False, False]
    assert reason == text
    assert "CANN" in reason
    assert "libascendcl.so" in reason
    assert "TORCH_DEVICE_BACKEND_AUTOLOAD=0" in reason
    assert (count, imported) == (0, [])
    assert error == f"ascend_ops.npu requires an NPU: {reason}"


@needs_torch_npu
def test_a_cann_that_is_installed_and_not_sourced_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Install:
        version, root = "8.5.0", "/usr/local/Ascend/cann"

    monkeypatch.setattr(availability.CannInstall, "find", lambda **_: Install)
    sentences = "; ".join(availability._cann_sentences(OSError("not found"), True))
    assert "CANN 8.5.0 is installed in /usr/local/Ascend/cann: source its set_env.sh" in sentences
    driver = OSError("libascend_hal.so: cannot open shared object file")
    assert "driver is missing" in next(availability._cann_sentences(driver, True))


@needs_torch_npu
def test_an_emulated_npu_is_available_before_torch_is_imported() -> None:
    done = start(_REPORT, ASCEND_EMULATOR_DEVICES="3", TORCH_DEVICE_BACKEND_AUTOLOAD="0")
    assert done.returncode == 0, done.stderr
    answers = [True, True, True, True, "", "available"]
    assert json.loads(done.stdout) == [answers, 3, []]


@pytest.mark.parametrize(
    ("status", "told"), [(0, "finds no NPU"), (507899, "fails with error 507899")]
)
def test_a_machine_without_a_device_is_told_apart(
    status: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Library:
        @staticmethod
        def aclrtGetDeviceCount(count: object) -> int:  # noqa: N802
            return status

    monkeypatch.setattr(availability, "_found", None)
    monkeypatch.setattr(availability, "_library", Library)
    monkeypatch.setattr(availability, "_why_no_package", lambda: "")
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "9")
    found = npu.is_available()
    assert (found.package, found.cann, found.device, bool(found)) == (True, True, False, False)
    assert f"aclrtGetDeviceCount {told} with ASCEND_RT_VISIBLE_DEVICES='9'" in str(found)
    assert "npu-smi info" in found.reason
    assert npu.device_count() == 0


@pytest.mark.parametrize(
    ("missing", "told"),
    [("torch", "torch is not installed"), ("torch_npu", "torch_npu is not installed: pip install")],
)
def test_a_package_that_cannot_be_imported_is_named(missing: str, told: str) -> None:
    """None in sys.modules makes ``import`` fail; an empty entry is not an import."""
    done = outside("-c", f"import sys\nsys.modules[{missing!r}] = None\n{_REPORT}")
    assert done.returncode == 0, done.stderr
    package, *_, reason, _ = json.loads(done.stdout)[0]
    assert package is False
    assert told in reason


def test_a_torch_npu_of_another_version_is_refused_before_its_import_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = availability.find_torch()
    assert installed is not None
    older = type(installed)(installed.root, "2.7.1", "")
    monkeypatch.setattr(availability, "_is_importable", lambda name: True)
    monkeypatch.setattr(availability, "find_torch_npu", lambda: older)
    assert "torch_npu 2.7.1 is made for torch 2.7.1, but torch" in availability._why_no_package()


@pytest.mark.parametrize("device", [-1, True, "0", 1.0])
def test_a_device_number_is_checked(device: object) -> None:
    with pytest.raises(ValueError, match="device must be an int from 0 or None, got"):
        npu.device_string(device)  # type: ignore[arg-type]


@pytest.mark.npu
def test_the_device_side_works_on_an_npu() -> None:
    assert npu.is_available() == npu.Availability(True, True, True)
    assert npu.device_count() == torch.npu.device_count()
    npu.set_device(1)
    assert npu.current_device() == 1
    assert torch.zeros(1, device=npu.device_string()).device == torch.device(npu.device_string(1))

    npu.empty_cache()
    before, reserved = npu.memory_allocated(), npu.memory_reserved()
    npu.reset_peak_memory_stats()
    x = torch.zeros(1 << 20, device="npu")
    used = npu.memory_allocated() - before
    assert x.nbytes <= used <= x.nbytes + 512  # torch_npu pads and rounds up
    free, total = npu.memory_info()
    assert 0 < free <= total - x.nbytes
    del x
    assert npu.memory_allocated() == before
    assert npu.max_memory_allocated() - before == used
    assert npu.memory_reserved() > reserved
    npu.empty_cache()
    assert npu.memory_reserved() == reserved

    side = npu.Stream()
    with npu.stream(side):
        assert npu.current_stream() == side
        y = torch.ones(8, device="npu") * 3
        done = side.record_event(npu.Event())
    assert npu.current_stream() == npu.default_stream()
    npu.current_stream().wait_event(done)
    npu.synchronize()
    assert done.query()
    assert y.sum().item() == 24

    torch.distributed.init_process_group(
        npu.communication_backend(), rank=0, world_size=1, store=torch.distributed.HashStore()
    )
    torch.distributed.all_reduce(y)
    assert y.sum().item() == 24
    torch.distributed.destroy_process_group()


@pytest.mark.npu
def test_every_public_name_has_an_example_that_runs() -> None:
    named = {name: getattr(npu, name) for name in npu.__all__ if name not in ("Event", "Stream")}
    for name, documented in {"npu": npu, **named}.items():
        test = doctest.DocTestParser().get_doctest(documented.__doc__, {}, name, None, 0)
        assert test.examples, name
        report: list[str] = []
        failed, _ = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
        assert not failed, "".join(report)


#: What each framework decides with torch_npu, without CANN and with autoload off.
FRAMEWORKS = {
    "transformers": (
        "from transformers.utils import is_torch_npu_available as answer",
        "ImportError",
    ),
    "accelerate": ("from accelerate.utils import is_npu_available as answer", "False"),
    "diffusers": ("from diffusers.utils import is_torch_npu_available as answer", "True"),
    "deepspeed": (
        "from deepspeed.accelerator import get_accelerator\n"
        "answer = lambda: get_accelerator().device_name()",
        "'cpu'",
    ),
    "lightning": (
        "from lightning.pytorch.accelerators import AcceleratorRegistry\n"
        "answer = lambda: 'npu' in AcceleratorRegistry",
        "False",
    ),
    "ascend_ops": ("from ascend_ops.npu import is_available\nanswer = is_available", None),
}

# torch is imported once; each framework then has a process of its own, because a failed import of
# torch_npu leaves half of it behind.
_TABLE = """
import json, os, sys
import torch
for name, code in json.loads(sys.argv[1]).items():
    sys.stdout.flush()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            space = {}
            exec(code, space)
            text = repr(space["answer"]())
        except BaseException as error:
            text = type(error).__name__
        print(json.dumps([name, text]), flush=True)
        os._exit(0)
    os.wait()
"""


@needs_torch_npu
def test_the_frameworks_disagree_without_cann() -> None:
    """Under the versions of the extra ``integrations``; docs/ has the table."""
    installed = {name: code for name, (code, _) in FRAMEWORKS.items() if _is_installed(name)}
    done = outside("-c", _TABLE, json.dumps(installed))
    lines = (line for line in done.stdout.splitlines() if line.startswith('["'))
    found = dict(map(json.loads, lines))
    assert found.keys() == installed.keys(), done.stderr
    ours = found.pop("ascend_ops")
    assert ours.startswith("Availability(package=True, cann=False, device=False, reason='CANN is")
    assert found == {name: FRAMEWORKS[name][1] for name in found}
    absent = FRAMEWORKS.keys() - installed.keys()
    if absent:
        pytest.skip(f"not compared, because they are not installed: {', '.join(sorted(absent))}")


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@needs_torch_npu
def test_with_autoload_on_every_framework_fails_with_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env=outside_environment(TORCH_DEVICE_BACKEND_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode != 0
    assert "RuntimeError: Failed to load the backend extension: torch_npu" in done.stderr
