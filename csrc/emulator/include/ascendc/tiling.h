// How a kernel reads the structure that its host part has filled.
#pragma once

#include "ascendc/tensor.h"

#define REGISTER_TILING_DEFAULT(STRUCTURE) using aicore_default_tiling [[maybe_unused]] = STRUCTURE
#define GET_TILING_DATA_WITH_STRUCT(STRUCTURE, name, address) \
    STRUCTURE name;                                           \
    std::memcpy(static_cast<void*>(&name), ::aicore::bytes_of(address), sizeof name)
#define GET_TILING_DATA(name, address) \
    GET_TILING_DATA_WITH_STRUCT(aicore_default_tiling, name, address)
#define TILING_KEY_IS(key) (::aicore::core->tiling_key == (key))

// The compiler's driver reads these from the source, since they decide which cores run.
#define KERNEL_TASK_TYPE_DEFAULT(type)
#define KERNEL_TASK_TYPE(key, type)
