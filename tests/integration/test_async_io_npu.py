"""``ascend_ops.async_io`` with tensors on an NPU, which go through pinned memory."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import pytest
import torch

from ascend_ops.async_io import AsyncIOHandle

pytestmark = [pytest.mark.npu, pytest.mark.compiler]


def test_tensors_on_an_npu_are_written_and_read(tmp_path: Path) -> None:
    handle = AsyncIOHandle(4096, 4, intra_op_parallelism=2)
    data = [torch.randn(n, device="npu") for n in (3000, 7)]
    for number, tensor in enumerate(data):
        handle.async_pwrite(tensor, str(tmp_path / str(number)))
        tensor.add_(1)  # what is written is the value at the call
    assert handle.wait() == 2
    found = [torch.zeros_like(tensor) for tensor in data]
    for number, tensor in enumerate(found):
        handle.async_pread(tensor, str(tmp_path / str(number)))
    assert handle.wait() == 2
    for one, other in zip(found, data, strict=True):
        torch.testing.assert_close(one + 1, other)
    with pytest.raises(ValueError, match="buffer must be contiguous"):
        handle.sync_pwrite(torch.zeros(4, 4, device="npu").t(), str(tmp_path / "0"))


def test_pinned_memory_is_that_of_torch_or_of_the_handle() -> None:
    handle = AsyncIOHandle()
    assert handle.is_pinned(torch.zeros(3).pin_memory())
    assert not handle.is_pinned(torch.zeros(3))
    on_npu = torch.zeros(3, device="npu")
    assert not handle.is_pinned(on_npu)
    assert not handle.free_cpu_locked_tensor(on_npu)


def test_a_read_that_nobody_waits_for_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handle = AsyncIOHandle()
    handle.sync_pwrite(torch.ones(5), str(tmp_path / "file"))
    handle.async_pread(torch.zeros(5, device="npu"), str(tmp_path / "file"))
    with caplog.at_level(logging.ERROR):
        del handle
        gc.collect()
    assert "is not in the tensor on npu:0" in caplog.text
