// An optimizer's kernels as tables, one an instruction set, each defined in a file of its own.
//
// Tables are data, not functions: reading one cannot run an instruction that the CPU lacks. In a
// file compiled without its instruction set every entry is null, so that every architecture
// compiles the same list of files.
#pragma once

#include "cpu/optimizer/optimizer.h"

namespace ascend_ops {

using SquareSum = double (*)(const void* elements, std::int64_t count);

struct KernelTable {
    /// Indexed by the DType of params, grads, states and the low-precision copy; null where not
    /// supported.
    Kernel step[dtype_count][dtype_count][dtype_count][dtype_count];
    Kernel rollback;  // fp32; null where the optimizer has none
    /// Any dtypes and rounding, a block at a time by way of fp32 copies.
    Kernel staged_step;
    Kernel staged_rollback;
    /// Indexed by DType; null where the optimizer has no offload step.
    SquareSum square_sum[dtype_count];
};

#define ASCEND_OPS_ISA(name, lower) extern const KernelTable kernels_##name;
ASCEND_OPS_ISAS(ASCEND_OPS_ISA)
#undef ASCEND_OPS_ISA

}  // namespace ascend_ops
