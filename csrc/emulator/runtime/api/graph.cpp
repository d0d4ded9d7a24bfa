#include "emulator/runtime/objects/graph.h"

#include <atomic>
#include <cstdio>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"
#include "emulator/trace/trace.h"

namespace ascend_emulator {
namespace {

std::mutex capture_mutex;
std::atomic<int> captures{0};  // so that nobody takes the mutex where nothing is captured
thread_local aclmdlRICaptureMode capture_mode = ACL_MODEL_RI_CAPTURE_MODE_GLOBAL;

/// What an aclmdlRI points to.
struct GraphHandle : Handle {
    explicit GraphHandle(std::shared_ptr<Graph> its_graph)
        : Handle(HandleKind::graph), graph(std::move(its_graph)) {}
    std::shared_ptr<Graph> graph;
};

class Replay : public Task {
  public:
    explicit Replay(std::shared_ptr<Graph> graph) : graph_(std::move(graph)) {}

    int run() override {
        for (const TaskPtr& task : graph_->tasks) {
            set_current_function(task->name());
            if (const int code = task->run()) {
                return code;
            }
        }
        return 0;
    }
    const char* name() const override { return "aclmdlRIExecute"; }
    std::vector<Access> accesses() const override {
        std::vector<Access> all;
        for (const TaskPtr& task : graph_->tasks) {
            const std::vector<Access> some = task->accesses();
            all.insert(all.end(), some.begin(), some.end());
        }
        return all;
    }
    std::string arguments() const override {
        return "\"tasks\":" + std::to_string(graph_->tasks.size());
    }

  private:
    std::shared_ptr<Graph> graph_;
};

int refuse_graph(const std::string& problem) { return fail(ACL_ERROR_RT_INVALID_HANDLE, problem); }

}  // namespace

bool add_to_capture(Stream& stream, const TaskPtr& task) {
    if (captures == 0) {
        return false;
    }
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream.capturing == nullptr) {
        return false;
    }
    stream.capturing->tasks.push_back(task);
    return true;
}

std::shared_ptr<Graph> capture_of(Stream& stream) {
    if (captures == 0) {
        return nullptr;
    }
    const std::lock_guard<std::mutex> lock(capture_mutex);
    return stream.capturing;
}

void join_capture(Stream& stream, const std::shared_ptr<Graph>& graph) {
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream.capturing == nullptr && !graph->streams.empty()) {
        stream.capturing = graph;
        graph->streams.push_back(&stream);
    }
}

}  // namespace ascend_emulator

using namespace ascend_emulator;

aclError aclmdlRICaptureBegin(aclrtStream handle, aclmdlRICaptureMode mode) {
    ACL_ENTER();
    capture_mode = mode;
    if (handle == nullptr) {
        return fail(ACL_ERROR_RT_STREAM_CONTEXT, "the default stream cannot be captured");
    }
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream->capturing != nullptr) {
        return fail(ACL_ERROR_RT_MODEL_CAPTURED, "the stream is being captured already");
    }
    stream->capturing = std::make_shared<Graph>();
    stream->capturing->streams.push_back(stream);
    stream->capturing->handle = new GraphHandle(stream->capturing);
    count_handle(HandleKind::graph, 1);
    ++captures;
    return 0;
}

aclError aclmdlRICaptureGetInfo(aclrtStream handle, aclmdlRICaptureStatus* status,
                                aclmdlRI* model) {
    ACL_ENTER();
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

aclError aclmdlRICaptureEnd(aclrtStream handle, aclmdlRI* model) {
    ACL_ENTER();
    Stream* stream = stream_of(handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const std::lock_guard<std::mutex> lock(capture_mutex);
    const std::shared_ptr<Graph> graph = stream->capturing;
    if (graph == nullptr || graph->streams.front() != stream) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "no capture began on this stream");
    }
    for (Stream* captured : graph->streams) {
        captured->capturing = nullptr;
    }
    graph->streams.clear();
    --captures;
    *model = graph->handle;
    return 0;
}

aclError aclmdlRICaptureThreadExchangeMode(aclmdlRICaptureMode* mode) {
    ACL_ENTER();
    std::swap(*mode, capture_mode);
    return 0;
}

aclError aclmdlRIExecuteAsync(aclmdlRI model, aclrtStream handle) {
    ACL_ENTER();
    const auto* graph = static_cast<Handle*>(model);
    const std::string problem = why_unusable(graph, HandleKind::graph);
    if (!problem.empty()) {
        return refuse_graph(problem);
    }
    return enqueue(handle, std::make_shared<Replay>(static_cast<const GraphHandle*>(graph)->graph));
}

aclError aclmdlRIDestroy(aclmdlRI model) {
    ACL_ENTER();
    static auto* const quarantine = new Quarantine<GraphHandle>;
    auto* handle = static_cast<Handle*>(model);
    const std::string problem = why_unusable(handle, HandleKind::graph);
    if (!problem.empty()) {
        return refuse_graph(problem);
    }
    count_handle(HandleKind::graph, -1);
    auto* graph = static_cast<GraphHandle*>(handle);
    graph->graph.reset();
    quarantine->put(graph);
    return 0;
}

aclError aclmdlRIDebugJsonPrint(aclmdlRI model, const char* path, uint32_t flags) {
    (void)flags;
    ACL_ENTER();
    const auto* handle = static_cast<Handle*>(model);
    const std::string problem = why_unusable(handle, HandleKind::graph);
    if (!problem.empty()) {
        return refuse_graph(problem);
    }
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, std::string(path) + " cannot be written");
    }
    const char* separator = "";
    std::fputs("{\"emulated\":true,\"tasks\":[", file);
    for (const TaskPtr& task : static_cast<const GraphHandle*>(handle)->graph->tasks) {
        const std::string arguments = task->arguments();
        std::fprintf(file, "%s\n{\"name\":\"%s\"%s%s}", separator, task->name(),
                     arguments.empty() ? "" : ",", arguments.c_str());
        separator = ",";
    }
    std::fputs("]}\n", file);
    std::fclose(file);
    return 0;
}
