// The AscendCL functions that assemble the arguments of a kernel one by one.
#include "emulator/runtime/objects/kernel_arguments.h"
#include "acl/acl_rt.h"
#include "emulator/interface/kernel_binaries.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/kernel_binary.h"
#include "emulator/runtime/objects/launch_options.h"

using namespace ascend_emulator;

aclError aclrtKernelArgsInit(aclrtFuncHandle function, aclrtArgsHandle* list) try {
    ACL_ENTER();
    ACL_REQUIRE(list);
    if (const int refused = check_function(function)) {
        return refused;
    }
    *list = create_arguments(function);
    return 0;
}
ACL_CATCH

// The emulated lists are in memory of their own, so a byte of the caller's serves as a handle.
aclError aclrtKernelArgsGetHandleMemSize(aclrtFuncHandle function, size_t* bytes) try {
    ACL_ENTER();
    ACL_REQUIRE(bytes);
    if (const int refused = check_function(function)) {
        return refused;
    }
    *bytes = sizeof(void*);
    return 0;
}
ACL_CATCH

aclError aclrtKernelArgsGetMemSize(aclrtFuncHandle function, size_t argument_bytes,
                                   size_t* bytes) try {
    ACL_ENTER();
    ACL_REQUIRE(bytes);
    if (const int refused = check_function(function)) {
        return refused;
    }
    *bytes = argument_bytes;
    return 0;
}
ACL_CATCH

aclError aclrtKernelArgsInitByUserMem(aclrtFuncHandle function, aclrtArgsHandle list, void* memory,
                                      size_t bytes) try {
    ACL_ENTER();
    ACL_REQUIRE(list);
    if (const int refused = check_function(function)) {
        return refused;
    }
    if (memory == nullptr && bytes != 0) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "userHostMem must not be null");
    }
    return place_arguments(function, list);
}
ACL_CATCH

aclError aclrtKernelArgsAppend(aclrtArgsHandle list, void* bytes, size_t count,
                               aclrtParamHandle* parameter) try {
    ACL_ENTER();
    ACL_REQUIRE(bytes);
    ACL_REQUIRE(parameter);
    KernelArguments* const found = find_arguments(list);
    return found == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : append(*found, bytes, count, parameter);
}
ACL_CATCH

aclError aclrtKernelArgsAppendPlaceHolder(aclrtArgsHandle list, aclrtParamHandle* parameter) try {
    ACL_ENTER();
    ACL_REQUIRE(parameter);
    KernelArguments* const found = find_arguments(list);
    return found == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : append_placeholder(*found, parameter);
}
ACL_CATCH

aclError aclrtKernelArgsGetPlaceHolderBuffer(aclrtArgsHandle list, aclrtParamHandle parameter,
                                             size_t bytes, void** buffer) try {
    ACL_ENTER();
    ACL_REQUIRE(buffer);
    KernelArguments* const found = find_arguments(list);
    return found == nullptr ? ACL_ERROR_RT_INVALID_HANDLE
                            : placeholder_buffer(*found, parameter, bytes, buffer);
}
ACL_CATCH

aclError aclrtKernelArgsParaUpdate(aclrtArgsHandle list, aclrtParamHandle parameter, void* bytes,
                                   size_t count) try {
    ACL_ENTER();
    ACL_REQUIRE(bytes);
    KernelArguments* const found = find_arguments(list);
    return found == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : update(*found, parameter, bytes, count);
}
ACL_CATCH

aclError aclrtKernelArgsFinalize(aclrtArgsHandle list) try {
    ACL_ENTER();
    KernelArguments* const found = find_arguments(list);
    return found == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : finalize(*found);
}
ACL_CATCH

aclError aclrtLaunchKernelWithConfig(aclrtFuncHandle function, uint32_t blocks, aclrtStream stream,
                                     aclrtLaunchKernelCfg* options, aclrtArgsHandle list,
                                     void* /*reserve*/) try {
    ACL_ENTER();
    KernelArguments* const found = find_arguments(list);
    if (found == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (found->function != function) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "argsHandle must be one of aclrtKernelArgsInit for this function");
    }
    if (const int refused = check_launch_options(options)) {
        return refused;
    }
    return launch(*found, blocks, stream);
}
ACL_CATCH
