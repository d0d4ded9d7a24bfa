// The AscendCL functions of captured graphs.
#include <algorithm>
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
    const Stream* stream = graph == nullptr ? nullptr : stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE
                             : enqueue(handle, replay_task(graph, *stream));
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

aclError aclmdlRIExecute(aclmdlRI model, int32_t timeout) try {
    ACL_ENTER();
    const std::shared_ptr<Graph> graph = graph_of(model);
    Stream* stream = graph == nullptr ? nullptr : stream_of(nullptr);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const int code = enqueue(nullptr, replay_task(graph, *stream));
    return code != 0 ? code : stream->synchronize(timeout);
}
ACL_CATCH

aclError aclmdlRIGetId(aclmdlRI model, uint32_t* id) try {
    ACL_ENTER();
    ACL_REQUIRE(id);
    const std::shared_ptr<Graph> graph = graph_of(model);
    if (graph == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *id = static_cast<uint32_t>(graph->id);
    return 0;
}
ACL_CATCH

aclError aclmdlRISetName(aclmdlRI model, const char* name) try {
    ACL_ENTER();
    ACL_REQUIRE(name);
    const std::shared_ptr<Graph> graph = graph_of(model);
    if (graph == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    graph->name = name;
    return 0;
}
ACL_CATCH

aclError aclmdlRIGetName(aclmdlRI model, uint32_t capacity, char* name) try {
    ACL_ENTER();
    ACL_REQUIRE(name);
    const std::shared_ptr<Graph> graph = graph_of(model);
    if (graph == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (capacity <= graph->name.size()) {
        return fail(ACL_ERROR_RT_INSUFFICIENT_INPUT_ARRAY, "maxLen must be more than " +
                                                               std::to_string(graph->name.size()) +
                                                               ", got " + std::to_string(capacity));
    }
    std::snprintf(name, capacity, "%s", graph->name.c_str());
    return 0;
}
ACL_CATCH

aclError aclmdlRIDebugPrint(aclmdlRI model) try {
    ACL_ENTER();
    const std::shared_ptr<Graph> graph = graph_of(model);
    if (graph == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    std::fprintf(stderr, "[emulated NPU] graph %d: %s", graph->id, graph_json(*graph).c_str());
    return 0;
}
ACL_CATCH

aclError aclmdlRIDestroyRegisterCallback(aclmdlRI model, aclrtCallback function,
                                         void* argument) try {
    ACL_ENTER();
    const std::shared_ptr<Graph> graph = graph_of(model);
    if (graph == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (function == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "func must not be null");
    }
    graph->at_destruction.emplace_back(function, argument);
    return 0;
}
ACL_CATCH

aclError aclmdlRIDestroyUnregisterCallback(aclmdlRI model, aclrtCallback function) try {
    ACL_ENTER();
    const std::shared_ptr<Graph> graph = graph_of(model);
    if (graph == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    auto& all = graph->at_destruction;
    const auto is_it = [function](const auto& one) { return one.first == function; };
    const auto kept = std::remove_if(all.begin(), all.end(), is_it);
    if (kept == all.end()) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "func must be a registered callback");
    }
    all.erase(kept, all.end());
    return 0;
}
ACL_CATCH

aclError aclmdlRICaptureTaskGrpBegin(aclrtStream handle) try {
    ACL_ENTER();
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : begin_group(*stream);
}
ACL_CATCH

aclError aclmdlRICaptureTaskGrpEnd(aclrtStream handle, aclrtTaskGrp* group) try {
    ACL_ENTER();
    ACL_REQUIRE(group);
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : end_group(*stream, group);
}
ACL_CATCH

aclError aclmdlRICaptureTaskUpdateBegin(aclrtStream handle, aclrtTaskGrp group) try {
    ACL_ENTER();
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : begin_update(*stream, group);
}
ACL_CATCH

aclError aclmdlRICaptureTaskUpdateEnd(aclrtStream handle) try {
    ACL_ENTER();
    Stream* stream = stream_of(handle);
    return stream == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : end_update(*stream);
}
ACL_CATCH
