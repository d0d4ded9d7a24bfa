"""Compares PyTorch's OpInfo entries on the emulated NPU with torch on the CPU.

    python tests/emulator/opinfo_sweep.py [--only NAME ...] [--out FILE] [--mode MODE]
        [--every-dtype]

The program prints one line per entry and a count of the outcomes: ``right``, ``differs``,
``random`` (differs, as random numbers do), ``fails`` and ``crash``. Each entry runs in a forked
process, because torch_npu runs nothing after a first failed operator. ``--out`` also stores which
aclnn functions each entry called. ``--mode`` is ``forward``, ``inplace`` or ``gradients``. All 702
entries take a minute or two. An entry runs in float32, or in the first dtype that it supports. With
``--every-dtype`` it runs in each dtype that both the CPU and an NPU support, and is right only if
all of them are.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SAMPLES = 6
MODES = ("forward", "inplace", "gradients")
MODE = "forward"
EVERY_DTYPE = False
#: The dtypes of an NPU, and the tolerances of a comparison with the CPU.
DTYPES = ("float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
_TOLERANCES = {"float16": 2e-2, "bfloat16": 6e-2}
SECONDS = 900
_RANDOM = re.compile(
    r"normal|rand|bernoulli|multinomial|dropout|rrelu|uniform|geometric|cauchy|exponential"
    r"|log_normal|empty|scaled_dot_product"
)


@dataclass
class Outcome:
    """The outcome of one entry; ``functions`` are the aclnn functions that ran."""

    name: str
    outcome: str
    detail: str
    functions: list[str]


def full_name(op: Any) -> str:
    """Return the name of an OpInfo with its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def compare(op: Any, dtype: Any) -> int:
    """Return the number of samples compared, at most SAMPLES. AssertionError if one differs."""
    import torch
    from torch.utils._pytree import tree_map

    def moved(value: Any) -> Any:
        def move(leaf: Any) -> Any:
            if isinstance(leaf, torch.Tensor):
                return leaf.detach().to("npu").requires_grad_(leaf.requires_grad)
            return torch.device("npu") if isinstance(leaf, torch.device) else leaf

        return tree_map(move, value)

    def keywords(values: dict[str, Any], device: str) -> dict[str, Any]:
        return {name: device if name == "device" else value for name, value in values.items()}

    compared = 0
    tolerance = _TOLERANCES.get(str(dtype).removeprefix("torch."), 1e-4)
    for sample in op.sample_inputs("cpu", dtype, requires_grad=MODE == "gradients"):
        if compared >= SAMPLES:
            break
        on_npu = moved(sample.input), moved(sample.args), keywords(moved(sample.kwargs), "npu")
        try:
            wanted = results(op, sample.input, sample.args, keywords(sample.kwargs, "cpu"))
        except Exception:  # noqa: BLE001 - a sample that the CPU refuses proves nothing
            continue
        pairs = zip(wanted, results(op, *on_npu), strict=False)
        for expected, actual in pairs:
            if isinstance(expected, torch.Tensor) and not expected.is_sparse:
                torch.testing.assert_close(
                    actual.detach().cpu().to(expected.dtype),
                    expected.detach(),
                    rtol=tolerance,
                    atol=tolerance,
                    equal_nan=True,
                    check_stride=False,
                )
        compared += 1
    torch.npu.synchronize()
    return compared


def results(op: Any, x: Any, args: Any, kwargs: Any) -> list[Any]:
    """Return what MODE compares: the outputs, the changed input, or the inputs' gradients."""
    import torch
    from torch.utils._pytree import tree_flatten

    if MODE == "inplace":
        return [op.inplace_variant(x.clone(), *args, **kwargs)]
    outputs = tree_flatten(op(x, *args, **kwargs))[0]
    if MODE == "forward":
        return outputs
    real = [y for y in outputs if isinstance(y, torch.Tensor) and y.requires_grad]
    leaves = [y for y in tree_flatten((x, args, kwargs))[0] if isinstance(y, torch.Tensor)]
    leaves = [leaf for leaf in leaves if leaf.requires_grad]
    total = sum((y.abs() if y.is_complex() else y).square().sum() for y in real)
    return list(torch.autograd.grad(total, leaves, allow_unused=True))


def dtypes_of(op: Any) -> list[Any]:
    """Return the dtypes to run the entry in: the best one, or all with EVERY_DTYPE."""
    import torch

    if EVERY_DTYPE:
        taken = [getattr(torch, name) for name in DTYPES]
        return [dtype for dtype in taken if dtype in op.dtypes] or best_dtype(op)
    return best_dtype(op)


def best_dtype(op: Any) -> list[Any]:
    """Return the preferred dtype of the entry, in a list; empty if the CPU supports none."""
    import torch

    wanted = (torch.float32, torch.int64, torch.bool, *sorted(op.dtypes, key=str))
    return [dtype for dtype in wanted if dtype in op.dtypes][:1]


def in_child(op: Any, folder: Path) -> Outcome:
    """Run the entry in a forked process, which writes its trace to ``folder``."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(writer, json.dumps(attempt(op)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    outcome, detail = json.loads(text) if text else ("crash", "")
    trace = folder / f"{child}.json"
    functions = functions_in(trace)
    trace.unlink(missing_ok=True)
    return Outcome(full_name(op), outcome, detail, functions)


def attempt(op: Any) -> tuple[str, str]:
    """Return the outcome and its detail; runs in the child."""
    import torch

    torch.set_num_threads(1)
    compared = 0
    for dtype in dtypes_of(op):
        try:
            compared += compare(op, dtype)
        except AssertionError as error:
            random = _RANDOM.search(full_name(op))
            outcome = "random" if random else "differs"
            return outcome, f"{dtype}: {' '.join(str(error).split())[:200]}"
        except Exception as error:  # noqa: BLE001 - any error is the outcome
            return "fails", f"{dtype}: {' '.join(str(error).split())[:400]}"
    return "right" if compared else "fails", f"{compared} samples"


def functions_in(trace: Path) -> list[str]:
    """Return the aclnn functions that a Chrome trace names."""
    if not trace.exists():
        return []
    return sorted(set(re.findall(r'"name":"(aclnn\w+)"', trace.read_text(errors="replace"))))


def entries(only: list[str]) -> Iterator[Any]:
    """Yield the OpInfo entries of those names, or all."""
    from torch.testing._internal.common_methods_invocations import op_db

    for op in op_db:
        fits = {
            "forward": True,
            "inplace": op.inplace_variant is not None,
            "gradients": op.supports_autograd,
        }
        if fits[MODE] and (not only or full_name(op) in only or op.name in only):
            yield op


def sweep(only: list[str]) -> Iterator[Outcome]:
    """Activate the emulator and yield each entry's outcome."""
    from ascend_ops.emulator import activate

    with tempfile.TemporaryDirectory() as folder:
        activate(trace_file=f"{folder}/%p.json", banner=0, leaks=0)
        import torch_npu  # noqa: F401

        warnings.filterwarnings("ignore")
        for op in entries(only):
            yield in_child(op, Path(folder))


def main() -> None:
    """Run the sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--mode", choices=MODES, default="forward")
    parser.add_argument("--every-dtype", action="store_true")
    arguments = parser.parse_args()
    global MODE, EVERY_DTYPE
    MODE, EVERY_DTYPE = arguments.mode, arguments.every_dtype
    outcomes = []
    for outcome in sweep(arguments.only):
        print(f"{outcome.outcome:8}{outcome.name}: {outcome.detail}", flush=True)  # noqa: T201
        outcomes.append(outcome)
        if arguments.out:
            arguments.out.write_text(json.dumps([asdict(each) for each in outcomes], indent=1))
    print(dict(collections.Counter(each.outcome for each in outcomes)))  # noqa: T201


if __name__ == "__main__":
    main()
