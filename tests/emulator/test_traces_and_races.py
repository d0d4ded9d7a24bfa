"""Traces, races and faults of torch programs, and memory that processes share."""

from __future__ import annotations

import json

from emulated_process import run, start


def test_the_trace_has_each_call_with_shapes_dtypes_formats_and_stream(tmp_path):
    path = tmp_path / "trace.json"
    code = """
    import torch
    x = torch.ones(2, 3, device="npu", dtype=torch.float16)
    side = torch.npu.Stream()
    with torch.npu.stream(side):
        side.wait_stream(torch.npu.default_stream())
        y = x * x
    torch.npu.synchronize()
    """
    done = run(code, ASCEND_EMULATOR_TRACE_FILE=str(path), ASCEND_EMULATOR_TRACE="1")
    assert done.returncode == 0, done.stderr[-2000:]
    events = json.loads(path.read_text())
    (multiply,) = [event for event in events if event["name"] == "aclnnMul"]
    assert multiply["ph"] == "X"
    assert multiply["dur"] > 0
    tensor = {"dtype": "Half", "shape": [2, 3], "format": 2}
    assert multiply["args"]["tensors"] == [tensor] * 3
    assert multiply["args"]["stream"] > 0
    assert any("emulated" in str(event["args"]) for event in events if event["ph"] == "M")
    names = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert any(name.startswith("emulated npu:0 stream") for name in names)
    assert "aclnnMul on stream" in done.stderr


def test_two_processes_do_not_write_into_one_trace(tmp_path):
    path = tmp_path / "trace.json"
    code = """
    import os, torch
    reader, writer = os.pipe()
    child = os.fork()
    if child != 0:
        (torch.ones(4).npu() + 1).cpu()
        os.write(writer, b"x")
        os.waitpid(child, 0)
    else:
        os.read(reader, 1)
        (torch.ones(4).npu() + 1).cpu()
    """
    done = run(code, ASCEND_EMULATOR_TRACE_FILE=str(path))
    assert f"is not traced: another process writes {path}" in done.stderr, done.stderr[-2000:]
    assert "Use %p in the name for one file per process" in done.stderr
    assert len({event["pid"] for event in json.loads(path.read_text())}) == 1


RACE = """
import torch
x = torch.zeros(1 << 10, device="npu")
side = torch.npu.Stream()
torch.npu.synchronize()
x.fill_(5.0)
with torch.npu.stream(side):
    if WAIT:
        side.wait_stream(torch.npu.default_stream())
    y = x.clone()
torch.npu.synchronize()
print(y.sum().item())
"""


def test_a_missing_wait_between_streams_is_a_race():
    done = run(RACE.replace("WAIT", "False"), ASCEND_EMULATOR_RACES="1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "reads 4096 bytes" in done.stderr
    assert "which aclnnInplaceFillScalar on stream" in done.stderr


def test_a_program_that_waits_has_no_race():
    done = run(RACE.replace("WAIT", "True"), ASCEND_EMULATOR_RACES="1")
    assert "5120.0" in done.stdout
    assert "[emulated NPU] 0 races were reported" in done.stderr, done.stderr[-2000:]


def test_a_fault_reaches_python_with_its_code_and_message():
    code = """
    import torch
    x = torch.ones(4, device="npu")
    try:
        torch.nn.functional.layer_norm(x, (4,))
        torch.npu.synchronize()
    except RuntimeError as error:
        print("caught", "561002" in str(error), "ASCEND_EMULATOR_FAULT" in str(error))
    """
    done = run(code, ASCEND_EMULATOR_FAULT="aclnnLayerNorm:1:561002")
    assert "caught True True" in done.stdout, done.stdout + done.stderr[-2000:]


def test_a_tensor_of_another_process_is_shared():
    code = """
    import torch
    import torch.multiprocessing as mp

    def child(queue, done):
        x = queue.get()
        assert x.device.type == "npu", x.device
        x.add_(1)
        torch.npu.synchronize()
        del x
        done.set()

    if __name__ == "__main__":
        context = mp.get_context("fork")
        queue, done = context.Queue(), context.Event()
        process = context.Process(target=child, args=(queue, done))
        process.start()
        x = torch.arange(4.0).npu()
        torch.npu.synchronize()
        queue.put(x)
        done.wait()
        print("shared", x.cpu().tolist())
        process.join()
    """
    done = start(code, TORCH_DEVICE_BACKEND_AUTOLOAD="1")
    assert "shared [1.0, 2.0, 3.0, 4.0]" in done.stdout, done.stdout + done.stderr[-3000:]


def test_gelu_with_erf_is_chosen_by_torch_npus_own_variable():
    code = """
    import torch
    x = torch.linspace(-3, 3, 20)
    f = torch.nn.functional.gelu
    grads = []
    for device in ("cpu", "npu"):
        leaf = x.clone().to(device).requires_grad_()
        out = f(leaf)
        out.sum().backward()
        grads += [out.detach().cpu(), leaf.grad.cpu()]
    print("erf", torch.allclose(grads[0], grads[2], 1e-5, 1e-6),
          torch.allclose(grads[1], grads[3], 1e-5, 1e-6))
    """
    done = start(code, TORCH_NPU_USE_COMPATIBLE_IMPL="1")
    assert "erf True True" in done.stdout, done.stdout + done.stderr[-2000:]
