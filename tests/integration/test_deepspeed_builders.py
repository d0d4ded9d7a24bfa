"""The functions of the fused optimizers, against DeepSpeed's own and torch's; checkpoints."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from deepspeed_runs import installed, needs, one_rank, start

pytestmark = [pytest.mark.compiler, *needs("deepspeed", "torch_npu")]

#: The last bit of a bf16 number from 2 to 4, the largest that the tests have.
LAST_BIT = 2**-6

_FUNCTIONS = """
import json, os, sys
import torch
import deepspeed
from deepspeed.accelerator import get_accelerator
from ascend_ops.integrations.deepspeed import calls

NPU = get_accelerator()
def module(name, own=False):
    accelerator = NPU.unchanged if own else NPU
    return accelerator.get_op_builder(name)().load()

def tensors(dtype, device, count=4):
    generator = torch.Generator().manual_seed(0)
    made = [[torch.randn(shape, generator=generator) for shape in ((5, 3), (7,))] for _ in range(4)]
    made[3] = [tensor.abs() for tensor in made[3]]
    return [[tensor.to(device, dtype) for tensor in some] for some in made[:count]]

def apart(these, those):
    return max(
        (a.float().cpu() - b.float().cpu()).abs().max().item()
        for some, others in zip(these, those) for a, b in zip(some, others)
    )

report = {}
flag = torch.zeros(1, dtype=torch.int32)
"""

_ADAM = '''
def adamw(lists, step, decoupled, corrected):
    """The formula, in fp32."""
    for g, p, m, v in zip(*lists):
        g = g.float() + (0.0 if decoupled else 0.1) * p.float()
        first, second = m.float() * 0.9 + 0.1 * g, v.float() * 0.99 + 0.01 * g * g
        c1, c2 = (1 - 0.9**step, 1 - 0.99**step) if corrected else (1.0, 1.0)
        value = p.float() * (1 - 0.01 * 0.1 * decoupled)
        value -= 0.01 * (first / c1) / ((second / c2).sqrt() + 1e-6)
        for old, new in ((p, value), (m, first), (v, second)):
            old.copy_(new)

adam = module("FusedAdamBuilder").multi_tensor_adam
for device in ("npu", "cpu"):
    for dtype in (torch.float32, torch.bfloat16):
        for mode in (0, 1):
            for corrected in (0, 1):
                given, wanted = tensors(dtype, device), tensors(dtype, "cpu")
                rest = (0.01, 0.9, 0.99, 1e-6, 3, mode, corrected, 0.1)
                adam(65536, flag.to(device), given, *rest)
                adamw(wanted, 3, mode, corrected)
                report[f"{device} {dtype} {mode} {corrected}"] = apart(given, wanted)
                before = [[tensor.clone() for tensor in some] for some in given]
                adam(65536, flag.to(device) + 1, given, *rest)
                report[f"noop {device} {dtype} {mode} {corrected}"] = apart(given, before)
'''

_LION_AND_LAMB = """
for dtype in (torch.float32, torch.bfloat16):
    given, wanted = tensors(dtype, "npu", 3), tensors(dtype, "npu", 3)
    for own, lists in ((False, given), (True, wanted)):
        lion = module("FusedLionBuilder", own).multi_tensor_lion
        lion(65536, flag.npu(), lists, 0.01, 0.9, 0.99, 1, 0.1)
    report[f"lion {dtype}"] = apart(given, wanted)
    before = [[tensor.clone() for tensor in some] for some in given]
    module("FusedLionBuilder").multi_tensor_lion(
        65536, flag.npu() + 1, given, 0.01, 0.9, 0.99, 1, 0.1
    )
    report[f"noop lion {dtype}"] = apart(given, before)
zeros = [[torch.zeros(3).npu()], [torch.ones(3).npu()], [torch.zeros(3).npu()]]
module("FusedLionBuilder").multi_tensor_lion(65536, flag.npu(), zeros, 0.01, 0.9, 0.99, 1, 0.0)
report["lion without a gradient"] = apart(zeros[1:2], [[torch.ones(3)]])

for eps_mode in (0, 1):
    for corrected in (0, 1):
        results = []
        for own in (False, True):
            lists, low = tensors(torch.float32, "npu"), torch.empty(5, 3).npu().bfloat16()
            g, p, m, v = (some[0] for some in lists)
            ratio = module("FusedLambBuilder", own).lamb(
                p, low, m, v, g, 0.01, 0.9, 0.99, 10.0, 0.01, 1e-6, 4.0, 3, eps_mode, corrected, 0.1
            )
            results.append([[p, m, v, low, ratio]])
        report[f"lamb {eps_mode} {corrected}"] = apart(*results)
"""
_PINNED = """
os.environ["DS_PIN_MEMORY_BACKEND"] = "native"
pinned = NPU.pin_memory(torch.arange(5.0))
view = pinned[1:]
report["pinned"] = [NPU.is_pinned(view), NPU.is_pinned(torch.ones(3)), pinned.npu().sum().item()]
NPU.unpin_memory(pinned)
report["unpinned"] = [NPU.is_pinned(view), view.tolist()]
"""
_WRITER = """
from deepspeed.io import FastFileWriter, FastFileWriterConfig

saved = {"weight": torch.randn(3000).bfloat16(), "flag": torch.tensor([True]), "step": 7}
handle = module("AsyncIOBuilder").aio_handle(1 << 16, 8, False, False, 1)
pinned = handle.new_cpu_locked_tensor(1 << 14, torch.empty(0, dtype=torch.uint8))
writer = FastFileWriter(
    sys.argv[1], FastFileWriterConfig(handle, pinned, double_buffer=True, num_parallel_writers=1)
)
torch.save(saved, writer)
writer.close()
found = torch.load(sys.argv[1])
report["written"] = [found.pop("step"), apart([saved.values()], [found.values()])]
lists = [torch.arange(3.0), torch.ones(2, 2)]
byte_tensor = module("UtilsBuilder").cast_to_byte_tensor
byte_tensor(lists)[1][0] = 255  # they share memory
one_byte = byte_tensor(torch.tensor(True))
report["bytes"] = [byte_tensor(lists[0]).tolist(), lists[1][0, 0].item(), one_byte.item()]
flat = module("UtilsBuilder").flatten(lists)
report["flat"] = [flat.numel(), apart([module("UtilsBuilder").unflatten(flat, lists)], [lists])]
try:
    byte_tensor(torch.ones(2, 3).t())
except ValueError as error:
    report["refused"] = str(error)
"""
_CALLS = 'report["calls"] = calls()\n'
_PRINT = 'sys.stdout.write("RESULT " + json.dumps(report))'


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("functions")
    file = folder / "functions.py"
    parts = (_FUNCTIONS, _ADAM, _LION_AND_LAMB, _PINNED, _WRITER, _CALLS, _PRINT)
    file.write_text("".join(parts), encoding="utf-8")
    command = (sys.executable, str(file), str(folder / "saved"))
    done = start(*command, PYTHONPATH=installed(folder))
    found: dict[str, Any] = json.loads(done.stdout.partition("RESULT ")[2])
    return found


def test_fused_adam_respects_its_mode_and_bias_correction(report: dict[str, Any]) -> None:
    found = {name: report[name] for name in report if name.startswith(("npu", "cpu"))}
    assert len(found) == 16
    for name, difference in found.items():
        assert difference <= (1e-6 if "float32" in name else LAST_BIT), name


def test_a_noop_flag_skips_the_step(report: dict[str, Any]) -> None:
    found = {name: report[name] for name in report if name.startswith("noop")}
    assert len(found) == 18
    assert set(found.values()) == {0.0}


def test_fused_lion_is_deepspeeds_except_without_a_gradient(report: dict[str, Any]) -> None:
    assert report["lion torch.float32"] <= 1e-6
    assert report["lion torch.bfloat16"] <= LAST_BIT
    assert report["lion without a gradient"] == 0


def test_fused_lamb_is_deepspeeds(report: dict[str, Any]) -> None:
    found = {name: report[name] for name in report if name.startswith("lamb")}
    assert len(found) == 4
    assert max(found.values()) <= 1e-6


def test_natively_pinned_memory_is_usable_after_it_is_unpinned(report: dict[str, Any]) -> None:
    assert report["pinned"] == [True, False, 10.0]
    assert report["unpinned"] == [False, [1.0, 2.0, 3.0, 4.0]]


def test_a_checkpoint_of_deepspeeds_fast_writer_can_be_loaded(report: dict[str, Any]) -> None:
    assert report["written"] == [7, 0]


def test_bytes_of_tensors(report: dict[str, Any]) -> None:
    wanted = list(struct.pack("<3f", 0, 1, 2))
    assert report["bytes"] == [wanted, struct.unpack("<f", b"\xff\x00\x80\x3f")[0], True]
    assert report["flat"] == [7, 0]
    assert "tensors must be contiguous, got one with shape [3, 2]" in report["refused"]


def test_the_functions_are_counted(report: dict[str, Any]) -> None:
    written = {
        n: report["calls"].pop(n) for n in list(report["calls"]) if n.startswith(("utils", "async"))
    }
    assert written["utils.cast_to_byte_tensor"] > 3
    assert report["calls"] == {
        "fused_adam.multi_tensor_adam": 32,
        "fused_lion.multi_tensor_lion": 5,
        "fused_lamb.lamb": 4,
        "pin_memory.new_cpu_locked_tensor": 1,
    }


_CHECKPOINTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from deepspeed_program import *
import deepspeed
from deepspeed.accelerator import get_accelerator

THEIRS = get_accelerator().unchanged.get_op_builder("FusedAdamBuilder")().load().multi_tensor_adam
DATA = list(batches(0, 1))

def engine(own):
    net = model()
    config = configuration(2, "bf16", "AdamW", False)
    made, *_ = deepspeed.initialize(model=net, model_parameters=net.parameters(), config=config)
    if own:
        made.optimizer.optimizer.multi_tensor_adam = THEIRS
    return made

def steps(made, data):
    losses = []
    for x, y in data:
        loss = loss_of(made, x.to(made.device, torch.bfloat16), y.to(made.device, torch.bfloat16))
        made.backward(loss)
        made.step()
        losses.append(loss.item())
    return losses

report = {}
for own in (False, True):
    first = engine(own)
    losses = steps(first, DATA[:3])
    first.save_checkpoint(f"{sys.argv[2]}/{own}")
    first.destroy()
    second = engine(not own)
    second.load_checkpoint(f"{sys.argv[2]}/{own}")
    report[str(own)] = losses + steps(second, DATA[3:])
    second.destroy()
from ascend_ops.integrations.deepspeed import calls
report["calls"] = calls()
sys.stdout.write("RESULT " + json.dumps(report))
"""


def test_checkpoints_go_to_and_from_deepspeeds_own_function(tmp_path: Path) -> None:
    """The first three steps are made with one of the two, the last two with the other."""
    from deepspeed_program import STEPS, reference

    file = tmp_path / "checkpoints.py"
    file.write_text(_CHECKPOINTS, encoding="utf-8")
    command = (sys.executable, str(file), str(Path(__file__).parent), str(tmp_path))
    done = start(*command, PYTHONPATH=installed(tmp_path), **one_rank())
    found = json.loads(done.stdout.partition("RESULT ")[2])
    assert found.pop("calls")["fused_adam.multi_tensor_adam"] == STEPS
    wanted = reference("2,bf16,AdamW")
    for losses in found.values():
        assert losses == pytest.approx(wanted, rel=2**-9, abs=0)
