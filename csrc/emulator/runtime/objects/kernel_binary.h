// Binaries of kernels that a program has loaded.
#pragma once

#include <cstddef>

namespace ascend_emulator {

/// The bytes of aclrtCreateBinary.
struct BinaryImage {
    const void* bytes;
    std::size_t count;
};

BinaryImage* create_image(const void* bytes, std::size_t count);
/// Note a function that was found in a binary, for as long as that is loaded.
void add_function(const void* function, const void* binary);

// Each returns 0 or a code, with an error noted.
int check_image(const void* image);
int destroy_image(void* image);
int check_function(const void* function);
/// Whether the handle is one of a function whose binary is loaded.
bool is_function(const void* function);
int load_binary(const char* path, void** binary);
int load_binary_bytes(const void* bytes, std::size_t count, void** binary);
int unload_binary(void* binary);
/// Whether the handle is one of a binary that is loaded.
int check_binary(const void* binary);

}  // namespace ascend_emulator
