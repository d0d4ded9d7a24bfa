// Ascend C on an emulated AI core: what a kernel gets from `#include "kernel_operator.h"`.
//
// A name that a kernel uses and that is not here is a compile error; add it to the file of its kind
// in ascendc/, as docs/how-to/add-an-ascend-c-function.md shows.
#pragma once

#include "ascendc/cube.h"
#include "ascendc/debug.h"
#include "ascendc/functions.h"
#include "ascendc/launch.h"
#include "ascendc/move.h"
#include "ascendc/pipe.h"
#include "ascendc/sort.h"
#include "ascendc/synchronization.h"
#include "ascendc/tensor.h"
#include "ascendc/tiling.h"
#include "ascendc/types.h"
#include "ascendc/vector_arithmetic.h"
#include "ascendc/vector_cast.h"
#include "ascendc/vector_compare.h"
#include "ascendc/vector_data.h"
#include "ascendc/vector_reduce.h"
