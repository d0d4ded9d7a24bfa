"""Pointwise ops compute a DTensor by its parts; other ops take replicated ones only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from emulated_process import outside_environment
from limits import HANG_SECONDS
from sharded_calls import RANKS

PROGRAM = Path(__file__).with_name("sharded_calls.py")


def output_of(code):
    """Return what a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=outside_environment(TORCH_DEVICE_BACKEND_AUTOLOAD="0"),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_ranks_agree_with_plain_tensors(tmp_path):
    environ = outside_environment(TORCH_DEVICE_BACKEND_AUTOLOAD="0", OMP_NUM_THREADS="1")
    command = [sys.executable, str(PROGRAM)]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "rendezvous")],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(RANKS)
    ]
    for process in ranks:
        output, errors = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 0, errors[-3000:]
        assert output == "every call agrees\n"


def test_the_rules_wait_until_dtensor_is_imported():
    """Importing DTensor takes longer than importing everything here."""
    code = (
        "import sys, torch, ascend_ops\n"
        "known = 'torch.distributed.tensor' in sys.modules\n"
        "ascend_ops.gelu(torch.ones(2))\n"
        "print(('torch.distributed.tensor' in sys.modules) == known)\n"
    )
    assert output_of(code) == "True\n"


def test_the_rules_are_registered_by_a_first_call_within_compiled_code():
    code = (
        "import torch, torch.distributed.tensor, ascend_ops\n"
        "from ascend_ops.dispatch import sharding\n"
        "compiled = torch.compile(ascend_ops.gelu, fullgraph=True, backend='aot_eager')\n"
        "print(torch.equal(compiled(torch.ones(2)), ascend_ops.gelu(torch.ones(2))))\n"
        "print(sharding._waiting)\n"
    )
    assert output_of(code) == "True\n[]\n"
