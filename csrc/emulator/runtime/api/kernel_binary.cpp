// The AscendCL functions that load binaries of kernels and launch what is in them.
#include "emulator/runtime/objects/kernel_binary.h"
#include "acl/acl_rt.h"
#include "emulator/interface/kernel_binaries.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/kernel_arguments.h"
#include "emulator/runtime/objects/launch_options.h"

namespace ascend_emulator {
namespace {

int launch(aclrtFuncHandle function, std::uint32_t blocks, const void* arguments, std::size_t bytes,
           aclrtStream stream) {
    if (const int refused = check_function(function)) {
        return refused;
    }
    if (arguments == nullptr && bytes != 0) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "the arguments must not be null");
    }
    return kernel_binaries()->launch(function, blocks, arguments, bytes, stream);
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclrtBinaryLoadFromFile(const char* path, aclrtBinaryLoadOptions* /*options*/,
                                 aclrtBinHandle* binary) try {
    ACL_ENTER();
    ACL_REQUIRE(path);
    ACL_REQUIRE(binary);
    return load_binary(path, binary);
}
ACL_CATCH

aclError aclrtBinaryLoadFromData(const void* data, size_t length,
                                 const aclrtBinaryLoadOptions* /*options*/,
                                 aclrtBinHandle* binary) try {
    ACL_ENTER();
    ACL_REQUIRE(data);
    ACL_REQUIRE(binary);
    return load_binary_bytes(data, length, binary);
}
ACL_CATCH

aclrtBinary aclrtCreateBinary(const void* data, size_t length) {
    return data == nullptr ? nullptr : create_image(data, length);
}

aclError aclrtDestroyBinary(aclrtBinary image) { return destroy_image(image); }

aclError aclrtBinaryLoad(const aclrtBinary image, aclrtBinHandle* binary) try {
    ACL_ENTER();
    ACL_REQUIRE(image);
    ACL_REQUIRE(binary);
    if (const int refused = check_image(image)) {
        return refused;
    }
    const auto& bytes = *static_cast<const BinaryImage*>(image);
    return load_binary_bytes(bytes.bytes, bytes.count, binary);
}
ACL_CATCH

aclError aclrtBinaryUnLoad(aclrtBinHandle binary) try {
    ACL_ENTER();
    return unload_binary(binary);
}
ACL_CATCH

aclError aclrtBinaryGetFunction(const aclrtBinHandle binary, const char* name,
                                aclrtFuncHandle* function) try {
    ACL_ENTER();
    ACL_REQUIRE(name);
    ACL_REQUIRE(function);
    if (const int refused = check_binary(binary)) {
        return refused;
    }
    *function = kernel_binaries()->find(binary, name);
    if (*function == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "the binary has no kernel " + std::string(name) +
                                                    "; it has " + kernel_binaries()->names(binary));
    }
    add_function(*function, binary);
    return 0;
}
ACL_CATCH

// The entry of a function is its tiling key.
aclError aclrtBinaryGetFunctionByEntry(aclrtBinHandle binary, uint64_t entry,
                                       aclrtFuncHandle* function) try {
    ACL_ENTER();
    ACL_REQUIRE(function);
    if (const int refused = check_binary(binary)) {
        return refused;
    }
    *function = kernel_binaries()->with_tiling_key(binary, entry);
    if (*function == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the binary must have one kernel for a function by its entry; it has " +
                        kernel_binaries()->names(binary));
    }
    add_function(*function, binary);
    return 0;
}
ACL_CATCH

aclError aclrtLaunchKernel(aclrtFuncHandle function, uint32_t blocks, const void* arguments,
                           size_t bytes, aclrtStream stream) try {
    ACL_ENTER();
    ACL_REQUIRE(function);
    return launch(function, blocks, arguments, bytes, stream);
}
ACL_CATCH

aclError aclrtLaunchKernelV2(aclrtFuncHandle function, uint32_t blocks, const void* arguments,
                             size_t bytes, aclrtLaunchKernelCfg* options, aclrtStream stream) try {
    ACL_ENTER();
    ACL_REQUIRE(function);
    if (const int refused = check_launch_options(options)) {
        return refused;
    }
    return launch(function, blocks, arguments, bytes, stream);
}
ACL_CATCH

aclError aclrtLaunchKernelWithHostArgs(aclrtFuncHandle function, uint32_t blocks,
                                       aclrtStream stream, aclrtLaunchKernelCfg* options,
                                       void* arguments, size_t bytes,
                                       aclrtPlaceHolderInfo* placeholders,
                                       size_t placeholder_count) try {
    ACL_ENTER();
    ACL_REQUIRE(function);
    if (const int refused = check_launch_options(options)) {
        return refused;
    }
    if (placeholder_count == 0) {
        return launch(function, blocks, arguments, bytes, stream);
    }
    ACL_REQUIRE(arguments);
    ACL_REQUIRE(placeholders);
    if (const int refused = check_function(function)) {
        return refused;
    }
    return launch_with_placeholders(function, blocks, arguments, bytes, placeholders,
                                    placeholder_count, stream);
}
ACL_CATCH

aclError aclrtLaunchKernelWithArgsArray(void* function, uint32_t blocks, aclrtStream stream,
                                        aclrtLaunchKernelCfg* options, void** arguments) try {
    ACL_ENTER();
    ACL_REQUIRE(function);
    if (const int refused = check_function(function)) {
        return refused;
    }
    if (const int refused = check_launch_options(options)) {
        return refused;
    }
    return launch_with_array(function, blocks, arguments, stream);
}
ACL_CATCH
