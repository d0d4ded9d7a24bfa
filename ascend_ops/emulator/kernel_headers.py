"""Names under which CANN has the headers of kernels: each includes a header of this project.

Which file of CANN declares a function has changed with its versions, and kernels include many of
them by name. Here ``kernel_operator.h`` has all functions.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

_KERNEL = "kernel_operator.h"
_MATMUL = "lib/matmul_intf.h"
_TILING = "tiling/tiling_api.h"
_PLATFORM = "tiling/platform/platform_ascendc.h"

# Each line: the header that is included, and the names of CANN that include it.
_FORWARDED: tuple[tuple[str, str], ...] = (
    (
        _KERNEL,
        """
        kernel_basic_intf.h kernel_common.h kernel_cube_intf.h kernel_event.h kernel_fp16.h
        kernel_log.h kernel_macros.h kernel_operator_atomic_intf.h kernel_operator_intf.h
        kernel_operator_block_sync_intf.h kernel_operator_data_copy_intf.h
        kernel_operator_dump_tensor_intf.h kernel_operator_fixpipe_intf.h
        kernel_operator_coord.h kernel_operator_layout.h
        kernel_operator_list_tensor_intf.h kernel_operator_mm_intf.h kernel_struct_data_copy.h
        kernel_tensor.h kernel_tpipe.h kernel_type.h kernel_utils.h kernel_vec_intf.h
        basic_api/kernel_basic_intf.h basic_api/kernel_cube_intf.h basic_api/kernel_vec_intf.h
        basic_api/kernel_operator_block_sync_intf.h basic_api/kernel_operator_intf.h
        basic_api/kernel_operator_list_tensor_intf.h basic_api/kernel_tensor.h
        ascendc/basic_api/interface/kernel_operator_list_tensor_intf.h
        interface/kernel_operator.h utils/std/algorithm.h std/algorithm.h std/type_traits.h
        impl/dav_c220/kernel_operator_reg_others_impl.h impl/dav_c220/rpc/rpc_log.h
        utils/debug/asc_printf.h utils/debug/asc_dump.h utils/debug/asc_assert.h
        utils/debug/asc_time.h version/asc_devkit_version.h version/cann_version.h
        lib/kernel_api.h adv_api/kernel_api.h lib/hccl/hccl.h adv_api/hccl/hccl.h
        lib/activation/softmax.h lib/normalization/layernorm.h lib/math/kernel_operator_sin_intf.h
        lib/math/kernel_operator_acos_intf.h lib/math/kernel_operator_asin_intf.h
        lib/math/kernel_operator_atan_intf.h lib/math/kernel_operator_cos_intf.h
        lib/math/kernel_operator_erf_intf.h lib/math/kernel_operator_power_intf.h
        lib/math/kernel_operator_sinh_intf.h lib/math/kernel_operator_tan_intf.h
        lib/math/kernel_operator_tanh_intf.h lib/pad/kernel_operator_pad_intf.h
        lib/sigmoid/kernel_operator_sigmoid_intf.h adv_api/activation/softmax.h
        adv_api/math/power.h adv_api/math/tanh.h adv_api/pad/broadcast.h
        adv_api/quantization/quantize.h
        adv_api/reduce/reduce.h adv_api/reduce/sum.h adv_api/sort/sort.h adv_api/sort/topk.h
        adv_api/activation/sigmoid.h adv_api/normalization/layernorm.h
        lib/normalization/welfordupdate.h lib/normalization/welfordfinalize.h
        adv_api/normalization/welfordupdate.h adv_api/normalization/welfordfinalize.h
        platform/platform_infos_def.h toolchain/slog.h
        ascendc/host_api/tiling/template_argument.h tiling/template_argument.h
        utils/tiling/template_argument.h
        """,
    ),
    (
        _MATMUL,
        """
        lib/matrix/matmul/matmul.h lib/matmul/matmul.h adv_api/matmul/matmul.h
        adv_api/matmul/matmul_intf.h adv_api/matmul/constant_tiling.h lib/matrix/matmul/tiling.h
        lib/matmul/tiling.h lib/matmul/constant_tiling.h lib/matmul/matmul_intf.h
        """,
    ),
    (_TILING, "adv_api/tiling_api.h tiling/matrix/matmul_tiling.h adv_api/matmul/matmul_tiling.h"),
    (_PLATFORM, "platform/platform_ascendc.h utils/tiling/platform/platform_ascendc.h"),
)


def write_kernel_headers(folder: Path) -> None:
    """Write the headers of CANN's names that include one of this project's.

    Args:
        folder: The ``include`` folder of the emulated CANN, which has this project's headers.
            A header that is there already is left as it is.
    """
    for target, names in _FORWARDED:
        for name in names.split():
            header = folder / name
            if header.exists():
                continue
            header.parent.mkdir(parents=True, exist_ok=True)
            up = "../" * (len(PurePosixPath(name).parts) - 1)
            header.write_text(f'#pragma once\n#include "{up}{target}"\n', encoding="utf-8")
