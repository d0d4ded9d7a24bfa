"""``jit_kernel``: compiled at the first call, and tuned once for each key."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
import torch
from emulated_process import run

from ascend_ops import KernelConfig, autotune, jit_kernel
from op_builder.toolchain.torch_install import find_torch_npu

KERNELS = Path(__file__).resolve().parent / "kernels"
SCALE = (KERNELS / "scale.asc").read_text(encoding="utf-8")
TILED = SCALE.replace("tile = 2048", "tile = TILE")
needs_torch_npu = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

PROGRAM = """
import json, torch, torch_npu
from pathlib import Path
from ascend_ops import KernelConfig, autotune, jit_kernel
from ascend_ops.kernels import tuning

source = Path({source!r}).read_text().replace("tile = 2048", "tile = TILE") + "// {salt}"
launched = []
measured = tuning._measured
def counted(kernel, arguments):
    milliseconds = measured(kernel, arguments)
    launched.append(kernel.config.constants["TILE"])
    return 1.0 if kernel.config.constants["TILE"] == 512 else 2.0
tuning._measured = counted

def scale(x: torch.Tensor, z: torch.Tensor, factor: float, count: int) -> None: ...

kernel = jit_kernel(source, name="scale", like=scale)
configs = [KernelConfig({{"TILE": tile}}) for tile in ("(", 1024, 512, 256)]
tuned = autotune(kernel, configs, key=["count"])
x = torch.randn(5, 1001).npu()
z = torch.zeros_like(x)
untouched = z.clone()
results = {{"before": torch.equal(z, untouched)}}
tuned(x, z, 2.5, x.numel())
results["computed"] = torch.equal(z, x * 2.5)
results["launched"] = list(launched)
tuned(x, z, 3.5, x.numel())
results["again"] = list(launched)
results["config"] = dict(tuned.config_for(x, z, 3.5, x.numel()).constants)
small = x[0].clone()
tuned(small, torch.empty_like(small), 1.0, small.numel())
results["another key"] = list(launched)
again = autotune(jit_kernel(source, name="scale"), configs, key=["count"])
again(x, z, 4.5, x.numel())
results["same process"] = list(launched)
in_place = jit_kernel(source, name="scale", config=KernelConfig({{"TILE": 128}}))
y = x.clone()
autotune(in_place, [KernelConfig(blocks=1)], key=["x"])(y, y, 2.0, y.numel())
results["in place"] = torch.equal(y, x * 2)
try:
    autotune(kernel, [configs[0]], key=[])(x, z, 1.0, 1)
except Exception as error:
    results["no candidate"] = type(error).__name__
key = (x.numel(),)
results["record"] = str(tuning._Record(kernel, tuple(configs), key).path)
print(json.dumps(results))
"""


def tuned(salt: str) -> dict[str, object]:
    """Run the program; a source with another ``salt`` has never been measured."""
    done = run(PROGRAM.format(source=str(KERNELS / "scale.asc"), salt=salt))
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@needs_torch_npu
def test_candidates_are_measured_once_for_each_key() -> None:
    salt = uuid.uuid4().hex
    first = tuned(salt)
    record = json.loads(Path(str(first.pop("record"))).read_text(encoding="utf-8"))
    assert first == {
        "before": True,
        "computed": True,
        "launched": [1024, 512, 256],  # "(" does not compile
        "again": [1024, 512, 256],
        "config": {"TILE": 512},
        "another key": [1024, 512, 256] * 2,
        "same process": [1024, 512, 256] * 2,
        "in place": True,
        "no candidate": "BuildError",
    }
    assert record["soc"] == "Ascend910B2"
    assert record["emulated"] is True
    assert record["milliseconds"] == [None, 2.0, 1.0, 2.0]
    second = tuned(salt)
    assert second["another key"] == []
    assert second["config"] == {"TILE": 512}


def scale(x: torch.Tensor, z: torch.Tensor, factor: float, count: int) -> None:
    raise NotImplementedError


def test_a_function_types_the_call() -> None:
    assert jit_kernel(SCALE, name="scale", like=scale).source.name == "scale"


def other_names(x: torch.Tensor, y: torch.Tensor, factor: float, count: int) -> None:
    raise NotImplementedError


def other_types(x: torch.Tensor, z: torch.Tensor, factor: int, count: int) -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (other_names, "parameters of scale, x, z, factor, count, got x, y, factor, count"),
        (other_types, "annotate factor with float, got <class 'int'>"),
    ],
)
def test_a_function_with_other_parameters_is_refused(like: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jit_kernel(SCALE, name="scale", like=like)  # type: ignore[call-overload]


def test_a_key_must_name_parameters() -> None:
    kernel = jit_kernel(TILED, name="scale")
    with pytest.raises(ValueError, match=r"parameters of scale \(x, z, factor, count\), got 'n'"):
        autotune(kernel, [KernelConfig()], key=["n"])
    with pytest.raises(ValueError, match="at least one configuration"):
        autotune(kernel, [], key=["count"])


def test_keywords_are_refused() -> None:
    with pytest.raises(TypeError, match="without keywords, got blocks"):
        jit_kernel(SCALE, name="scale")(blocks=3)
