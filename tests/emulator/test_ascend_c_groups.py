"""GroupBarrier, own pools, sparse products and TransData of the emulated AI core are right."""

from __future__ import annotations

import json

import pytest
from emulated_process import run
from kernel_library import library_of
from kernel_results import results_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

_PLAIN = "v = x[:192].view(2, 3, 2, 16)[..., :3]; "
# D, C1, H * W, N0, C0 of FRACTAL_Z_3D.
_FILTERS = _PLAIN + "f = torch.zeros(2, 3, 16, 16); f[:, :, :2, :3] = v.permute(2, 3, 0, 1); "
_BACK = _PLAIN + "b = torch.zeros(2, 3, 2, 16); b[..., :3] = v; z[:192] = b.flatten()"
# x, y and zeros of 256 floats; what each kernel leaves in z.
EXPECTED = {
    "own_pool": "z = x + 3 + 2 * y",
    "in_groups": "z = 2 * x + 1",
    # Fractals of 16 x 32 bytes, and for each 2 of 32 values in a column the rows of 4 they are in.
    "sparse_product": "a = x.view(torch.int8).view(2, 16, 32).transpose(0, 1).reshape(16, 64); "
    "b = y.view(torch.int8)[:512].view(16, 16, 2).double(); "
    "t = torch.arange(256).view(16, 16) % 9; first = t % 3; "
    "second = torch.maximum(first, t // 3 + 1); s = torch.zeros(16, 16, 4).double(); "
    "s.scatter_add_(2, first[..., None], b[..., :1]); "
    "s.scatter_add_(2, second[..., None], b[..., 1:]); "
    "z = (a.double() @ s.view(16, 64).t()).float().flatten()",
    "images": _PLAIN + "p = torch.zeros(2, 2, 3, 16); p[..., :3] = v.permute(0, 2, 3, 1); "
    "z[:192] = p.flatten()",
    "filters_of_first_depth": _FILTERS + "z = f[0, 2].flatten()",
    "filters_of_second_depth": _FILTERS + "z = f[1, 0].flatten()",
    "images_and_back": _BACK,
    "filters_and_back": _BACK,
}
MISTAKES = {
    "own_pool_too_small": "[overflow] InitBufHandle: the buffer must lie in the pool, which has",
    "groups_without_zeros": "[unset] GroupBarrier: groupWorkspace must hold zeros before",
    "sparse_product_with_index_3": "[range] MmadWithSparse: an index must be 0 to 2, got 3",
    "images_of_other_axes": "[range] TransData: the layouts must have the same axes: beside that "
    "of NCDHW, the other must be (2, 2, 1, 1, 3, 16), got (2, 1, 2, 1, 3, 16)",
}


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    return results_of("groups_and_formats", EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_kernel_is_right(results: dict[str, object], name: str) -> None:
    assert results[name] == []


PROGRAM = """
acl = ctypes.CDLL("libascendcl.so")
acl.aclGetRecentErrMsg.restype = ctypes.c_char_p
found = {{}}
for name in {names!r}:
    tensors = [torch.ones(256).npu() for _ in range(3)]
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
    assert library.run(name.encode(), stream, *pointers) == 0, name
    acl.aclrtSynchronizeStream(stream)
    found[name] = (acl.aclGetRecentErrMsg() or b"").decode()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def findings() -> dict[str, str]:
    done = run(library_of("groups_and_formats") + PROGRAM.format(names=list(MISTAKES)))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported(findings: dict[str, str], name: str) -> None:
    assert MISTAKES[name] in findings[name]
