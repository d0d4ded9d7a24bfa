// The C API of Ascend C: functions on addresses of UB, for vector cores of dav-2201.
#pragma once

#include "kernel_operator.h"

#if __NPU_ARCH__ != 2201
#error "c_api/asc_simd.h: the C API is emulated for dav-2201 only, and not for this --npu-arch"
#endif

#include "ascendc/c_api.h"
#include "ascendc/c_api_vector.h"
