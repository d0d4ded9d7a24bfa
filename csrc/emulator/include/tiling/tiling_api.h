// What the host part of an op includes for tilings.
#pragma once

#include <iostream>  // as in CANN, on which samples rely

#include "register/tilingdata_base.h"
#include "securec.h"
#include "tiling/format_tiling.h"
#include "tiling/function_tiling.h"
#include "tiling/matmul_tiling.h"
#include "tiling/platform/platform_ascendc.h"
