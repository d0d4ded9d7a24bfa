// The AscendCL functions of captured graphs.
#include <cstdio>
#include <string>
#include <utility>

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/graph.h"
#include "emulator/runtime/objects/stream.h"

namespace {

thread_local aclmdlRICaptureMode capture_mode = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;

}  // namespace

using namespace ascend_emulator;

aclError aclmdlRICaptureBegin(aclrtStream handle, aclmdlRICaptureMode mode) try {
    ACL_ENTER();
    capture_mode = mode;
    if (handle == nullptr) {
        return fail(ACL_ERROR_RT_STREAM_CONTEXT,
                    "the stream must not be the default stream, which cannot be captured");
    }
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : begin_capture(*stream);
}
ACL_CATCH

aclError aclmdlRICaptureGetInfo(aclrtStream handle, aclmdlRICaptureStatus* status,
                                aclmdlRI* model) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const std::shared_ptr<Graph> graph = capture_of(*stream);
    *status =
        graph == nullptr ? ACL_MODEL_RI_CAPTURE_STATUS_NONE : ACL_MODEL_RI_CAPTURE_STATUS_ACTIVE;
    if (model != nullptr) {
        *model = graph == nullptr ? nullptr : graph->handle;
    }
    return 0;
}
ACL_CATCH

aclError aclmdlRICaptureEnd(aclrtStream handle, aclmdlRI* model) try {
    ACL_ENTER();
    ACL_REQUIRE(model);
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : end_capture(*stream, model);
}
ACL_CATCH

aclError aclmdlRICaptureThreadExchangeMode(aclmdlRICaptureMode* mode) try {
    ACL_ENTER();
    ACL_REQUIRE(mode);
    std::swap(*mode, capture_mode);
    return 0;
}
ACL_CATCH

aclError aclmdlRIExecuteAsync(aclmdlRI model, aclrtStream handle) try {
    ACL_ENTER();
    const std::shared_ptr<Graph> graph = graph_of(model);
    return graph == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : enqueue(handle, replay_task(graph));
}
ACL_CATCH

aclError aclmdlRIDestroy(aclmdlRI model) try {
    ACL_ENTER();
    if (graph_of(model) == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    destroy_graph(model);
    return 0;
}
ACL_CATCH

aclError aclmdlRIDebugJsonPrint(aclmdlRI model, const char* path, uint32_t flags) try {
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(path);
    const std::shared_ptr<Graph> graph = graph_of(model);
    if (graph == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, std::string(path) + " cannot be written");
    }
    std::fputs(graph_json(*graph).c_str(), file);
    std::fclose(file);
    return 0;
}
ACL_CATCH
