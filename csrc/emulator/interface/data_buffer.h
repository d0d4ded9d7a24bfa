// What an aclDataBuffer points to; libascendcl makes it, libacl_op_compiler reads it.
#pragma once

#include <cstddef>

struct aclDataBuffer {
    void* data;
    std::size_t size;
};
