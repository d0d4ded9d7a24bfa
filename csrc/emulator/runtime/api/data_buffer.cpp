// The AscendCL functions of data buffers.
#include "emulator/interface/data_buffer.h"

#include "acl/acl_base.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"

using namespace ascend_emulator;

namespace {

/// Null, with an error noted, if it is not a live buffer.
const aclDataBuffer* live(const char* function, const aclDataBuffer* buffer) {
    const std::string problem = why_unusable(buffer);
    if (!problem.empty()) {
        set_current_function(function);
        fail(ACL_ERROR_INVALID_PARAM, problem);
    }
    return problem.empty() ? buffer : nullptr;
}

}  // namespace

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) try {
    return make_handle<aclDataBuffer>(aclDataBuffer{data, size});
} catch (...) {
    caught(__func__);
    return nullptr;
}

aclError aclDestroyDataBuffer(const aclDataBuffer* buffer) try {
    if (buffer == nullptr) {
        return 0;
    }
    if (live(__func__, buffer) == nullptr) {
        return ACL_ERROR_INVALID_PARAM;
    }
    destroy_handle(buffer);
    return 0;
}
ACL_CATCH

void* aclGetDataBufferAddr(const aclDataBuffer* buffer) {
    return live(__func__, buffer) == nullptr ? nullptr : buffer->data;
}

size_t aclGetDataBufferSizeV2(const aclDataBuffer* buffer) {
    return live(__func__, buffer) == nullptr ? 0 : buffer->size;
}

uint32_t aclGetDataBufferSize(const aclDataBuffer* buffer) {
    return static_cast<uint32_t>(aclGetDataBufferSizeV2(buffer));
}

aclError aclUpdateDataBuffer(aclDataBuffer* buffer, void* data, size_t size) {
    if (live(__func__, buffer) == nullptr) {
        return ACL_ERROR_INVALID_PARAM;
    }
    buffer->data = data;
    buffer->size = size;
    return 0;
}
