"""The real torch_npu on the emulated NPU: tensors, autograd, streams, memory, modes."""

from __future__ import annotations

import os
import re

import pytest
from emulated_process import start
from held_stream import HeldStream

npu = pytest.mark.npu


@npu
def test_tensors_go_there_and_back_and_add():
    import torch

    ones = torch.ones(3).npu()
    assert ones.device.type == "npu"
    assert (ones + 1).cpu().tolist() == [2, 2, 2]


@npu
def test_a_linear_layer_trains_as_on_the_cpu():
    import torch

    torch.manual_seed(0)
    x, y = torch.randn(16, 8), torch.randn(16, 4)
    losses = {}
    for device in ("cpu", "npu"):
        torch.manual_seed(1)
        model = torch.nn.Sequential(
            torch.nn.Linear(8, 32), torch.nn.LayerNorm(32), torch.nn.SiLU(), torch.nn.Linear(32, 4)
        ).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, foreach=True)
        losses[device] = []
        for _ in range(5):
            loss = torch.nn.functional.mse_loss(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[device].append(loss.item())
    assert losses["npu"] == pytest.approx(losses["cpu"], rel=1e-4)
    assert losses["cpu"][-1] < losses["cpu"][0]


@npu
def test_a_failing_operator_reports_its_name_and_the_reason():
    import torch

    with pytest.raises(Exception, match=r"561103|index out of range"):
        torch.nn.functional.embedding(torch.tensor([99]).npu(), torch.randn(4, 3).npu()).cpu()


@npu
def test_a_missing_operator_is_an_error_with_its_name():
    import torch
    import torch_npu

    x = torch.zeros(65536).npu()
    out = [torch.zeros(256, dtype=torch.int32).npu(), *torch.zeros(3, 65536).npu().unbind()]
    with pytest.raises(RuntimeError, match="aclnnHansEncode"):
        torch_npu.npu_hans_encode(x, out=out)


@npu
def test_the_error_of_a_missing_single_operator_names_the_file_to_extend(capfd):
    import torch
    import torch_npu

    def call():
        torch_npu.npu_nms_with_mask(torch.rand(2, 5).npu(), 0.5)
        torch.npu.synchronize()

    with pytest.raises(RuntimeError, match="NMSWithMask"):
        call()
    error = capfd.readouterr().err
    assert "NMSWithMask" in error
    assert "is not emulated. Add its aclnn function to csrc/emulator/ops" in error


@npu
def test_an_unfinished_copy_to_the_host_reads_stale_data():
    import torch

    pinned = torch.full((1 << 20,), -1.0).pin_memory()
    target = torch.zeros(1 << 20).npu()
    torch.npu.synchronize()
    with HeldStream(torch.npu.current_stream().npu_stream):
        target.fill_(7.0)
        pinned.copy_(target, non_blocking=True)
        early = pinned[0].item()
    torch.npu.synchronize()
    assert (early, pinned[0].item()) == (-1.0, 7.0)


@npu
def test_events_order_streams_and_measure_time():
    import torch

    side = torch.npu.Stream()
    x = torch.ones(1 << 16).npu()
    for _ in range(20):
        x = x * 1.5
    done = torch.npu.Event(enable_timing=True)
    done.record()
    with torch.npu.stream(side):
        side.wait_event(done)
        y = x.clone()
        end = torch.npu.Event(enable_timing=True)
        end.record()
    end.synchronize()
    assert torch.equal(y.cpu(), x.cpu())
    assert done.elapsed_time(end) >= 0


@npu
def test_out_of_memory_is_torchs_own_error():
    import torch

    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        torch.empty(1 << 36, device="npu")


@npu
def test_host_access_to_device_memory_faults_with_a_message(capfd):
    import ctypes
    import faulthandler

    import torch

    x = torch.arange(8.0).npu()
    torch.npu.synchronize()
    child = os.fork()
    if child == 0:
        # The emulator reports this crash, so that pytest need not.
        faulthandler.enable(file=os.open(os.devnull, os.O_WRONLY))
        ctypes.string_at(x.data_ptr(), 4)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == 11
    assert "host access to device memory at 0x" in capfd.readouterr().err


@npu
def test_a_graph_replays_with_new_input():
    import torch

    x = torch.zeros(8).npu()
    side = torch.npu.Stream()
    with torch.npu.stream(side):  # the warm-up that torch requires
        y = x * 2 + 1
    torch.npu.synchronize()
    graph = torch.npu.NPUGraph()
    with torch.npu.graph(graph):
        y = x * 2 + 1
    x.copy_(torch.arange(8.0))
    graph.replay()
    torch.npu.synchronize()
    assert y.cpu().tolist() == [2 * i + 1 for i in range(8)]


@npu
def test_the_device_reports_its_options():
    import torch

    assert torch.npu.get_device_name(0).startswith("Ascend910B")
    free, total = torch.npu.mem_get_info()
    assert 0 < free <= total == 8192 << 20


PROGRAM = """
import torch
x = torch.ones(4, device="npu")
s = torch.npu.Stream()
with torch.npu.stream(s):
    s.wait_stream(torch.npu.default_stream())
    y = (x + 1) @ x
torch.npu.synchronize()
print("value", y.item())
"""


@pytest.mark.parametrize("mode", ["0", "1", "2", "blocking", "expandable", "synchronous"])
def test_emulate_runs_a_program_in_every_queue_mode(mode):
    variables = {
        "blocking": {"ASCEND_LAUNCH_BLOCKING": "1"},
        "expandable": {"PYTORCH_NPU_ALLOC_CONF": "expandable_segments:True"},
        "synchronous": {"ASCEND_EMULATOR_SYNCHRONOUS": "1"},
    }.get(mode, {"TASK_QUEUE_ENABLE": mode})
    done = start(PROGRAM, **variables)
    assert "value 8.0" in done.stdout, done.stderr[-2000:]
    assert "emulated Ascend910B2" in done.stderr
    assert "left at the end" not in done.stderr


def test_an_unknown_option_is_refused_with_the_table():
    done = start(PROGRAM, ASCEND_EMULATOR_DEVISES="2")
    assert done.returncode != 0
    assert "ASCEND_EMULATOR_DEVISES is not one of the emulator's" in done.stderr
    assert "ASCEND_EMULATOR_DEVICES (default '1'): number of devices" in done.stderr


@pytest.mark.parametrize("soc", ["Ascend910_9382", "Ascend950PR_9599", "Ascend910B4"])
def test_soc_and_devices_follow_the_options(soc):
    code = """
    import torch, torch_npu
    print(torch.npu.get_device_name(), torch.npu.device_count())
    x = torch.ones(2, 2, device="npu:1").add_(1)
    x = torch.nn.functional.layer_norm(x @ x, (2,)).sum()
    print("sum", x.item())
    """
    done = start(code, ASCEND_EMULATOR_SOC=soc, ASCEND_EMULATOR_DEVICES="2")
    assert f"{soc} 2\nsum 0.0" in done.stdout, done.stderr[-2000:]


TWO_DEVICES = """
import torch, torch_npu
a, b = (torch.ones(4, device=place) for place in ("npu:0", "npu:1"))
{before}
print("sum", (a + b).sum().item())
"""


@pytest.mark.parametrize("segments", ["False", "True"])
def test_memory_of_another_device_is_out_of_an_operators_reach(segments):
    variables = {"ASCEND_EMULATOR_DEVICES": "2", "ASCEND_LAUNCH_BLOCKING": "1"}
    variables["PYTORCH_NPU_ALLOC_CONF"] = f"expandable_segments:{segments}"
    done = start(TWO_DEVICES.format(before=""), **variables)
    assert done.returncode == 1
    assert re.search(r"argument 1: \S+ is memory of device 1, which device 0 of the", done.stderr)
    done = start(TWO_DEVICES.format(before="b.to('npu:0')"), **variables)  # allows access
    assert "sum 8.0" in done.stdout, done.stderr[-2000:]


def test_without_torch_npus_pool_a_use_of_a_freed_tensor_is_reported():
    code = """
    import ctypes, torch, torch_npu
    x = torch.ones(64).npu()
    address = x.data_ptr()
    torch.npu.synchronize()
    del x
    acl = ctypes.CDLL("libascendcl.so")
    acl.aclGetRecentErrMsg.restype = ctypes.c_char_p
    host = ctypes.create_string_buffer(256)
    code = acl.aclrtMemcpy(host, ctypes.c_size_t(256), ctypes.c_void_p(address),
                           ctypes.c_size_t(256), 2)
    print(code, acl.aclGetRecentErrMsg().decode())
    """
    done = start(code, PYTORCH_NO_NPU_MEMORY_CACHING="1")
    assert "107000 [emulated NPU] aclrtMemcpy: source: 0x" in done.stdout, done.stderr[-2000:]
    assert "The block was freed by:" in done.stdout
