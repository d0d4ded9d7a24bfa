#include "emulator/runtime/objects/stream_config.h"

#include <cstring>
#include <string>

#include "emulator/interface/handle.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

struct StreamConfig : aclrtStreamConfigHandle {
    static constexpr auto handle_kind = HandleKind::stream_config;
};

const StreamConfig* cast(const aclrtStreamConfigHandle* handle) {
    return static_cast<const StreamConfig*>(handle);
}

template <class Field>
int set(Field& field, const void* value, std::size_t bytes) {
    if (bytes != sizeof field) {
        return fail(
            ACL_ERROR_RT_PARAM_INVALID,
            "valueSize must be " + std::to_string(sizeof field) + ", got " + std::to_string(bytes));
    }
    std::memcpy(static_cast<void*>(&field), value, sizeof field);
    return 0;
}

}  // namespace

aclrtStreamConfigHandle* create_stream_config() { return make_handle<StreamConfig>(); }

int check_stream_config(const aclrtStreamConfigHandle* handle) {
    const std::string problem = why_unusable(cast(handle));
    return problem.empty() ? 0 : fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
}

int set_stream_config(aclrtStreamConfigHandle* handle, aclrtStreamConfigAttr attribute,
                      const void* value, std::size_t bytes) {
    if (const int refused = check_stream_config(handle)) {
        return refused;
    }
    switch (attribute) {
        case ACL_RT_STREAM_WORK_ADDR_PTR:
            return set(handle->workptr, value, bytes);
        case ACL_RT_STREAM_WORK_SIZE:
            return set(handle->workSize, value, bytes);
        case ACL_RT_STREAM_FLAG:
            return set(handle->flag, value, bytes);
        case ACL_RT_STREAM_PRIORITY:
            return set(handle->priority, value, bytes);
    }
    return fail(ACL_ERROR_RT_PARAM_INVALID, "unknown attribute " + std::to_string(attribute));
}

int destroy_stream_config(const aclrtStreamConfigHandle* handle) {
    if (const int refused = check_stream_config(handle)) {
        return refused;
    }
    destroy_handle(cast(handle));
    return 0;
}

}  // namespace ascend_emulator
