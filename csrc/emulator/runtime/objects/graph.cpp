#include "emulator/runtime/objects/graph.h"

#include <atomic>
#include <mutex>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

std::mutex capture_mutex;
std::atomic<int> captures{0};  // so that the mutex is not taken if nothing is captured

/// What an aclmdlRI points to.
struct GraphHandle {
    static constexpr auto handle_kind = HandleKind::graph;

    explicit GraphHandle(std::shared_ptr<Graph> its_graph) : graph(std::move(its_graph)) {}
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

}  // namespace

int begin_capture(Stream& stream) {
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream.capturing != nullptr) {
        return fail(ACL_ERROR_RT_MODEL_CAPTURED, "the stream must not be captured already");
    }
    stream.capturing = std::make_shared<Graph>();
    stream.capturing->streams.push_back(&stream);
    stream.capturing->handle = make_handle<GraphHandle>(stream.capturing);
    count_handle(HandleKind::graph, 1);
    ++captures;
    return 0;
}

int end_capture(Stream& stream, void** handle) {
    const std::lock_guard<std::mutex> lock(capture_mutex);
    const std::shared_ptr<Graph> graph = stream.capturing;
    if (graph == nullptr || graph->streams.front() != &stream) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the stream must be the one that the capture began on");
    }
    for (Stream* captured : graph->streams) {
        captured->capturing = nullptr;
    }
    graph->streams.clear();
    --captures;
    *handle = graph->handle;
    return 0;
}

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

std::shared_ptr<Graph> graph_of(void* handle) {
    const auto* graph = static_cast<GraphHandle*>(handle);
    const std::string problem = why_unusable(graph);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
        return nullptr;
    }
    return graph->graph;
}

void destroy_graph(void* handle) {
    count_handle(HandleKind::graph, -1);
    destroy_handle(static_cast<GraphHandle*>(handle));
}

TaskPtr replay_task(std::shared_ptr<Graph> graph) {
    return std::make_shared<Replay>(std::move(graph));
}

std::string graph_json(const Graph& graph) {
    std::string text = "{\"emulated\":true,\"tasks\":[";
    const char* separator = "";
    for (const TaskPtr& task : graph.tasks) {
        const std::string arguments = task->arguments();
        text += separator;
        text += std::string("\n{\"name\":\"") + task->name() + "\"" +
                (arguments.empty() ? "" : ",") + arguments + "}";
        separator = ",";
    }
    return text + "]}\n";
}

}  // namespace ascend_emulator
