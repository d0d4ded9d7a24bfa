"""Calls the functions that convert between storage formats by name.

torch_npu calls them on an Ascend 950, and on other SoCs in later versions.
"""

from __future__ import annotations

import ctypes

import pytest
from aclnn_call import Stored, call, native

pytestmark = pytest.mark.npu
CHECKED = [
    "aclnnMatmulWeightNz",
    "aclnnNpuFormatCast",
    "aclnnNpuFormatCastCalculateSizeAndFormat",
]
ND, NZ, NCHW, NC1HWC0 = 2, 29, 0, 3
FLOAT16, INT8 = 1, 2


def plan(x, sizes, source, target, dtype):
    """Return the code, and the sizes and the format of the storage that CANN plans."""
    library = ctypes.CDLL("libopapi.so")
    planned = ctypes.POINTER(ctypes.c_int64)()
    rank, actual = ctypes.c_uint64(), ctypes.c_int()
    code = library.aclnnNpuFormatCastCalculateSizeAndFormat(
        *(native(library, Stored(x, sizes, source)), target, dtype),
        *(ctypes.byref(planned), ctypes.byref(rank), ctypes.byref(actual)),
    )
    return code, planned[: rank.value], actual.value


def test_blocks_are_as_wide_as_the_dtype_that_computes():
    import torch

    x = torch.zeros(20, 37).npu()
    assert plan(x, (20, 37), ND, NZ, FLOAT16) == (0, [3, 2, 16, 16], NZ)
    assert plan(x, (20, 37), ND, NZ, INT8) == (0, [2, 2, 16, 32], NZ)
    image = torch.zeros(2, 19, 3, 4).npu()
    assert plan(image, (2, 19, 3, 4), NCHW, NC1HWC0, FLOAT16) == (0, [2, 2, 3, 4, 16], NC1HWC0)
    assert plan(x, (20, 37), ND, 12, FLOAT16)[0] == 361001


def test_a_cast_there_and_back_gives_the_values():
    import torch

    x = torch.arange(20 * 37.0).reshape(20, 37)
    there, blocks, back = x.npu(), torch.ones(3, 2, 16, 16).npu(), torch.zeros(20, 37).npu()
    call("aclnnNpuFormatCast", Stored(there, (20, 37), ND), Stored(blocks, (20, 37), NZ))
    padded = torch.nn.functional.pad(x, (0, 11, 0, 12)).reshape(2, 16, 3, 16)
    torch.testing.assert_close(blocks.cpu(), padded.permute(2, 0, 1, 3))
    call("aclnnNpuFormatCast", Stored(blocks, (20, 37), NZ), Stored(back, (20, 37), ND))
    torch.testing.assert_close(back.cpu(), x)


def test_weights_in_blocks_may_be_transposed():
    import torch

    torch.manual_seed(0)
    x, weight = torch.randn(5, 37), torch.randn(20, 37)
    blocks, out = torch.empty(3, 2, 16, 16).npu(), torch.empty(5, 20).npu()
    call("aclnnNpuFormatCast", Stored(weight.npu(), (20, 37), ND), Stored(blocks, (20, 37), NZ))
    transposed = Stored(blocks, (37, 20), NZ, strides=(1, 37))
    call("aclnnMatmulWeightNz", x.npu(), transposed, out, 0)
    torch.testing.assert_close(out.cpu(), x @ weight.T, rtol=1e-4, atol=1e-5)


def test_an_output_in_blocks_is_refused():
    import torch

    blocks = torch.ones(3, 2, 16, 16).npu()
    with pytest.raises(RuntimeError, match="storage format 29 is not emulated here"):
        call("aclnnInplaceRelu", Stored(blocks, (20, 37), NZ))
