// The register API of Ascend 950 (AscendC::Reg, formerly AscendC::MicroAPI).
#pragma once

#if __NPU_ARCH__ == 3510
#include "ascendc/register_moves.h"
#include "ascendc/register_order.h"
#endif
