"""Welford's functions, layouts and transposed images on the emulated AI core are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from emulated_process import shell
from kernel_library import KERNELS
from kernel_results import results_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

_FINAL = "z[0] = v.mean(); z[8] = v.var(unbiased=False)"
# x, y and zeros of 256 floats; what each kernel leaves in z.
EXPECTED = {
    "welford_update": "v = x.double().view(4, 64); z[:64] = v.mean(0); "
    "z[64:128] = (v - v.mean(0)).square().sum(0)",
    "welford_update_half": "v, m, s = x.double()[:64], y.double()[:64], y.double()[64:128]; "
    "d = v - m; n = m + d * 0.125; t = s + d * (v - n); c = torch.arange(64) < 35; "
    "z[:64] = torch.where(c, n, m); z[64:128] = torch.where(c, t, s); "
    "z[128:192] = n * c; z[192:] = t * c",
    "welford_finalize": f"v = x.double(); {_FINAL}",
    "welford_finalize_tail": f"v = x.double()[:224]; {_FINAL}",
    "welford_finalize_counts": f"v = x.double()[:224]; {_FINAL}",
    "layout": "z = x.view(8, 32).t().flatten(); z[0] = 32",
    "channels_last": "z = x.view(2, 4, 32).transpose(1, 2).flatten()",
    "channels_first": "z = x.view(2, 32, 4).transpose(1, 2).flatten()",
    "no_images": "z = torch.zeros(256)",
    "matrix_of_16_bits": "z = x.half().view(16, 16).t().float().flatten()",
}
MISTAKES = {
    "welford_in_its_source": "[overlap] WelfordUpdate: the results must not lie in the bytes of",
    "welford_too_long": "[range] WelfordUpdate: abComputeLength must be 1 to abLength, got 65",
    "welford_two_rows": "[range] WelfordUpdate: rnLength must be 1",
    "welford_other_lengths": "[range] WelfordFinalize: headCountLength + tailCountLength must be",
    "welford_tail_without_count": "[range] WelfordFinalize: tailCountLength must be 0 if tailCount",
    "welford_half_a_block": "[alignment] abLength of Welford's functions must be a multiple of 32",
    "images_in_place": "[overlap] Transpose: the results must not lie in the bytes of the sources",
    "images_without_buffer": "[bounds] Transpose: sharedTmpBuffer must have 4608 bytes, got 3072",
    "images_of_half_a_block": "[alignment] Transpose: hSize * wSize elements must be a multiple of",
    "images_of_another_type": "[unsupported] Transpose: TransposeParamsExt must have TRANSPOSE_ND",
    "matrix_of_32_bits": "[dtype] Transpose: TRANSPOSE_ND2ND_B16 takes uint16_t only",
}


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    return results_of("welford_and_layouts", EXPECTED, rtol=1e-5)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_function_is_right(results: dict[str, object], name: str) -> None:
    assert results[name] == []


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("welford")
    source = KERNELS / "welford_and_layouts.asc"
    build = f"bisheng -x asc --npu-arch=dav-2201 -O1 {source} -o program -lascendcl"
    names = " ".join(["welford_finalize", *MISTAKES])
    done = shell(f". $ASCEND_HOME_PATH/set_env.sh && {build} && ./program {names}", folder)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"== (\w+) (.*?)(?=\n==|\Z)", done.stdout, re.DOTALL))


def test_right_operands_have_no_finding(findings: dict[str, str]) -> None:
    assert findings["welford_finalize"].strip() == "0"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_operand_is_reported(findings: dict[str, str], name: str) -> None:
    assert findings[name].startswith("507015 "), findings[name]
    assert MISTAKES[name] in findings[name]
