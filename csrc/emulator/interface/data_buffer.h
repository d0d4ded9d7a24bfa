// What an aclDataBuffer points to. libascendcl creates it and libacl_op_compiler reads it.
#pragma once

#include <cstddef>

#include "emulator/interface/handle.h"

struct aclDataBuffer {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::data_buffer;

    void* data;
    std::size_t size;
};
