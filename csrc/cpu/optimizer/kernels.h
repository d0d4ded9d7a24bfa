// The kernels of an optimizer: one table per instruction set, each defined in a file of its own.
//
// Tables are data, not functions: reading one cannot execute an instruction that the CPU lacks. A
// file that is compiled without the flags of its instruction set defines a table of null pointers,
// so that every architecture compiles the same list of files.
#pragma once

#include "cpu/optimizer/optimizer.h"

namespace ascend_ops {

using SquareSum = double (*)(const void* elements, std::int64_t count);

struct KernelTable {
    /// Indexed by the DType of params, grads, states and the low-precision copy; null if the
    /// combination is not supported.
    Kernel step[dtype_count][dtype_count][dtype_count][dtype_count];
    Kernel rollback;  // fp32; null if the optimizer has no rollback
    /// For any dtypes and rounding, block by block on fp32 copies.
    Kernel staged_step;
    Kernel staged_rollback;
    /// Indexed by DType; null if the optimizer has no offload step.
    SquareSum square_sum[dtype_count];
};

#define ASCEND_OPS_ISA(name, lower) extern const KernelTable kernels_##name;
ASCEND_OPS_ISAS(ASCEND_OPS_ISA)
#undef ASCEND_OPS_ISA

}  // namespace ascend_ops
