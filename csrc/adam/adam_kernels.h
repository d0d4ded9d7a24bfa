// The kernels of Adam as tables, one an instruction set, each defined in a file of its own.
//
// Tables are data, not functions: reading one cannot run an instruction that the CPU lacks. In a
// file compiled without its instruction set every entry is null, so that every architecture
// compiles the same list of files.
#pragma once

#include "adam.h"

namespace ascend_ops {

/// Indexed by the DType of params, grads and states; null where not supported.
struct AdamKernels {
    AdamKernel step[dtype_count][dtype_count][dtype_count];
    AdamKernel rollback[dtype_count][dtype_count][dtype_count];
};

extern const AdamKernels adam_kernels_scalar;
extern const AdamKernels adam_kernels_avx2;
extern const AdamKernels adam_kernels_avx512;
extern const AdamKernels adam_kernels_neon;

}  // namespace ascend_ops
