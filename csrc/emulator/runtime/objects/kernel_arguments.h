// Arguments of kernels that a program assembles one by one (aclrtKernelArgs*), and data that the
// runtime copies to the device beside them (placeholders).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "acl/acl_rt.h"

namespace ascend_emulator {

/// Data of the host that a kernel reads from device memory, for as long as a launch can run.
std::shared_ptr<void> copy_to_device(const void* data, std::size_t bytes);

/// One argument, or the data that a placeholder stands for.
struct KernelArgument {
    std::vector<unsigned char> bytes;
    bool is_placeholder = false;
};

/// The arguments of one function, of aclrtKernelArgsInit. Like a function's handle, the list lives
/// until its binary is unloaded: AscendCL has no call that destroys it.
struct KernelArguments {
    void* function = nullptr;
    std::vector<std::unique_ptr<KernelArgument>> arguments;
    bool finalized = false;
};

/// A new list for a function.
KernelArguments* create_arguments(void* function);
/// A new list whose handle is the caller's memory.
int place_arguments(void* function, void* handle);
/// The list, or null, with an error noted, if the handle is not one of a binary that is loaded.
KernelArguments* find_arguments(const void* handle);
/// Delete the argument lists of functions whose binary has been unloaded.
void drop_dead_arguments();

// Each returns 0 or a code, with an error noted.
int append(KernelArguments& list, const void* bytes, std::size_t count, void** parameter);
int append_placeholder(KernelArguments& list, void** parameter);
int placeholder_buffer(KernelArguments& list, const void* parameter, std::size_t bytes,
                       void** buffer);
int update(KernelArguments& list, const void* parameter, const void* bytes, std::size_t count);
int finalize(KernelArguments& list);
/// Queue the function with arguments that hold data for the device: each placeholder's address
/// becomes that of the copy.
int launch_with_placeholders(void* function, std::uint32_t blocks, const void* arguments,
                             std::size_t bytes, const aclrtPlaceHolderInfo* placeholders,
                             std::size_t count, void* stream);
/// Queue the function with an array of pointers to its arguments.
int launch_with_array(void* function, std::uint32_t blocks, void* const* arguments, void* stream);
/// Queue the function with its arguments.
int launch(const KernelArguments& list, std::uint32_t blocks, void* stream);

}  // namespace ascend_emulator
