// What an aclDataBuffer points to. libascendcl creates it and libacl_op_compiler reads it.
#pragma once

#include <cstddef>

struct aclDataBuffer {
    void* data;
    std::size_t size;
};
