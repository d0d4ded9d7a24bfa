"""Private storage formats: kept as the requested format, with the values of ND.

The order of each storage is written here once more, with numpy, from CANN's description.
"""

from __future__ import annotations

import ctypes

import numpy
import pytest

npu = pytest.mark.npu
NZ, NC1HWC0, FRACTAL_Z, NDC1HWC0, FRACTAL_Z_3D = 29, 3, 4, 32, 33


def padded(x, sizes):
    return numpy.pad(x, [(0, size - old) for size, old in zip(sizes, x.shape, strict=True)])


def blocks(size, length):
    return -(-size // length)


def nz(x, c0):
    *batch, m, n = x.shape
    m1, n1 = blocks(m, 16), blocks(n, c0)
    x = padded(x, [*batch, m1 * 16, n1 * c0]).reshape(*batch, m1, 16, n1, c0)
    first = len(batch)
    return x.transpose(*range(first), first + 2, first, first + 1, first + 3)


def channels_in_blocks(x, _c0):
    n, c, *spatial = x.shape
    x = padded(x, [n, blocks(c, 16) * 16, *spatial]).reshape(n, -1, 16, *spatial)
    return numpy.moveaxis(x, 2, -1) if len(spatial) == 2 else x.transpose(0, 3, 1, 4, 5, 2)


def filters_in_blocks(x, _c0):
    n, c, *spatial = x.shape
    n1, c1 = blocks(n, 16), blocks(c, 16)
    x = padded(x, [n1 * 16, c1 * 16, *spatial]).reshape(n1, 16, c1, 16, *spatial)
    return x.transpose(2, 4, 5, 0, 1, 3) if len(spatial) == 2 else x.transpose(4, 2, 5, 6, 0, 1, 3)


CASES = {
    "nz-half": (NZ, (2, 20, 37), numpy.float16, nz, 16),
    "nz-float": (NZ, (20, 37), numpy.float32, nz, 16),
    "nz-int8": (NZ, (20, 37), numpy.int8, nz, 32),
    "nc1hwc0": (NC1HWC0, (2, 19, 3, 4), numpy.float16, channels_in_blocks, 16),
    "fractal_z": (FRACTAL_Z, (18, 5, 3, 3), numpy.float16, filters_in_blocks, 16),
    "ndc1hwc0": (NDC1HWC0, (2, 19, 2, 3, 4), numpy.float16, channels_in_blocks, 16),
    "fractal_z_3d": (FRACTAL_Z_3D, (18, 5, 2, 3, 3), numpy.float16, filters_in_blocks, 16),
}


def raw(tensor, count, dtype):
    """Return the first elements of a tensor's storage as the device has them."""
    import torch

    torch.npu.synchronize()
    found = numpy.empty(count, dtype)
    runtime = ctypes.CDLL("libascendcl.so")
    device_to_host = 2
    code = runtime.aclrtMemcpy(
        ctypes.c_void_p(found.ctypes.data),
        ctypes.c_size_t(found.nbytes),
        ctypes.c_void_p(tensor.data_ptr()),
        ctypes.c_size_t(found.nbytes),
        device_to_host,
    )
    assert code == 0
    return found


@npu
@pytest.mark.parametrize("case", CASES)
def test_a_format_is_kept_with_its_order_and_gives_the_values_back(case):
    import torch
    import torch_npu

    storage_format, sizes, dtype, order, c0 = CASES[case]
    torch.npu.config.allow_internal_format = True
    x = torch.arange(numpy.prod(sizes)).remainder(97).reshape(sizes).numpy().astype(dtype)
    there = torch.from_numpy(x).npu()
    stored = torch_npu.npu_format_cast(there, storage_format)
    assert torch_npu.get_npu_format(stored) == storage_format
    wanted = order(x, c0)
    numpy.testing.assert_array_equal(raw(stored, wanted.size, dtype), wanted.ravel())
    numpy.testing.assert_array_equal(stored.cpu().numpy(), x)
    base = torch_npu.npu_format_cast(stored, torch_npu.get_npu_format(there))
    numpy.testing.assert_array_equal(base.cpu().numpy(), x)


@npu
def test_operators_take_tensors_in_a_private_format():
    import torch
    import torch_npu

    torch.npu.config.allow_internal_format = True
    torch.manual_seed(0)
    x, weight = torch.randn(6, 20), torch.randn(33, 20)
    stored = torch_npu.npu_format_cast(weight.npu(), NZ)
    product = torch.nn.functional.linear(x.npu(), stored)
    torch.testing.assert_close(product.cpu(), x @ weight.T, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close((stored + stored).cpu(), weight + weight)
    image, kernel = torch.randn(2, 5, 6, 6), torch.randn(4, 5, 3, 3)
    found = torch.nn.functional.conv2d(
        torch_npu.npu_format_cast(image.npu(), NC1HWC0),
        torch_npu.npu_format_cast(kernel.npu(), FRACTAL_Z),
    )
    wanted = torch.nn.functional.conv2d(image, kernel)
    torch.testing.assert_close(found.cpu(), wanted, rtol=1e-5, atol=1e-5)
