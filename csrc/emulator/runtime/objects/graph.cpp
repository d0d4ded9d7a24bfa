#include "emulator/runtime/objects/graph.h"

#include <atomic>
#include <chrono>
#include <mutex>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/interface/json.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"
#include "emulator/trace/trace.h"

namespace ascend_emulator {
namespace {

std::mutex capture_mutex;
std::atomic<int> captures{0};  // and updates: at 0 the mutex is not taken

int next_graph_id() {
    static std::atomic<int> next{0};
    return next++;
}

/// What an aclrtTaskGrp points to; the graph owns it.
struct GroupHandle {
    static constexpr auto handle_kind = HandleKind::task_group;

    explicit GroupHandle(std::shared_ptr<TaskGroup> its_group) : group(std::move(its_group)) {}
    std::shared_ptr<TaskGroup> group;
};

/// What an aclmdlRI points to.
struct GraphHandle {
    static constexpr auto handle_kind = HandleKind::graph;

    explicit GraphHandle(std::shared_ptr<Graph> its_graph) : graph(std::move(its_graph)) {}
    std::shared_ptr<Graph> graph;
};

class Replay : public Task {
  public:
    Replay(std::shared_ptr<Graph> graph, const Stream& stream)
        : graph_(std::move(graph)), device_(stream.device()), stream_(stream.id()) {}

    int run() override {
        const bool traced = tracing_tasks();
        for (std::size_t position = 0; const TaskPtr task = graph_->task(position); ++position) {
            set_current_function(task->name());
            const auto begin =
                traced ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
            if (const int code = task->run()) {
                return code;
            }
            if (traced) {
                trace_task(task->name(), device_, stream_, begin, std::chrono::steady_clock::now(),
                           task->arguments());
            }
        }
        return 0;
    }
    const char* name() const override { return "aclmdlRIExecute"; }
    std::vector<Access> accesses() const override {
        std::vector<Access> all;
        for (const TaskPtr& task : graph_->tasks()) {
            const std::vector<Access> some = task->accesses();
            all.insert(all.end(), some.begin(), some.end());
        }
        return all;
    }
    std::string arguments() const override {
        return "\"tasks\":" + std::to_string(graph_->tasks().size());
    }

  private:
    std::shared_ptr<Graph> graph_;
    int device_;
    int stream_;
};

}  // namespace

Graph::Graph() : id(next_graph_id()) {}

std::size_t Graph::add(TaskPtr task) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    return tasks_.size() - 1;
}

void Graph::replace(std::size_t position, TaskPtr task) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_[position] = std::move(task);
}

TaskPtr Graph::task(std::size_t position) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return position < tasks_.size() ? tasks_[position] : nullptr;
}

std::vector<TaskPtr> Graph::tasks() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return tasks_;
}

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
        captured->open_group = nullptr;
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
    if (const TaskGroup* group = stream.updated_group.get()) {
        if (stream.updated_tasks < group->positions.size()) {
            group->graph->replace(group->positions[stream.updated_tasks], task);
        }
        ++stream.updated_tasks;
        return true;
    }
    if (stream.capturing == nullptr) {
        return false;
    }
    const std::size_t position = stream.capturing->add(task);
    if (stream.open_group != nullptr) {
        stream.open_group->positions.push_back(position);
    }
    return true;
}

int begin_group(Stream& stream) {
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream.capturing == nullptr || stream.open_group != nullptr) {
        return fail(ACL_ERROR_RT_STREAM_NOT_CAPTURED,
                    "the stream must be captured, and its last task group ended");
    }
    stream.open_group = std::make_shared<TaskGroup>(stream.capturing);
    return 0;
}

int end_group(Stream& stream, void** handle) {
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream.open_group == nullptr) {
        return fail(ACL_ERROR_RT_STREAM_NOT_CAPTURED, "the stream must have begun a task group");
    }
    *handle = make_handle<GroupHandle>(std::move(stream.open_group));
    stream.open_group = nullptr;
    stream.capturing->groups.push_back(*handle);
    return 0;
}

int begin_update(Stream& stream, void* handle) {
    const auto* group = static_cast<GroupHandle*>(handle);
    const std::string problem = why_unusable(group);
    if (!problem.empty()) {
        return fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
    }
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream.capturing != nullptr || stream.updated_group != nullptr) {
        return fail(ACL_ERROR_RT_STREAM_CAPTURED,
                    "the stream must not be captured, and its last update ended");
    }
    stream.updated_group = group->group;
    stream.updated_tasks = 0;
    ++captures;
    return 0;
}

int end_update(Stream& stream) {
    const std::lock_guard<std::mutex> lock(capture_mutex);
    if (stream.updated_group == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "the stream must have begun an update");
    }
    const std::size_t wanted = stream.updated_group->positions.size();
    stream.updated_group = nullptr;
    --captures;
    return stream.updated_tasks == wanted
               ? 0
               : fail(ACL_ERROR_RT_MODEL_UPDATE_FAILED,
                      "an update must queue as many tasks as the group has, " +
                          std::to_string(wanted) + ", got " + std::to_string(stream.updated_tasks));
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
    const std::shared_ptr<Graph> graph = graph_of(handle);
    for (const auto& [function, argument] : graph->at_destruction) {
        function(argument);
    }
    for (void* group : graph->groups) {
        destroy_handle(static_cast<GroupHandle*>(group));
    }
    count_handle(HandleKind::graph, -1);
    destroy_handle(static_cast<GraphHandle*>(handle));
}

TaskPtr replay_task(std::shared_ptr<Graph> graph, const Stream& stream) {
    return std::make_shared<Replay>(std::move(graph), stream);
}

std::string graph_json(const Graph& graph) {
    std::string text = "[";
    const char* separator = "\n";
    int position = 0;
    for (const TaskPtr& task : graph.tasks()) {
        const std::string arguments = task->arguments();
        text += separator;
        text += R"({"name":")" + json_escaped(task->name()) + R"(","ph":"X","pid":)" +
                std::to_string(graph.id) + R"(,"tid":0,"ts":)" + std::to_string(position++) +
                R"(,"dur":1,"args":{"emulated":true)" + (arguments.empty() ? "" : ",") + arguments +
                "}}";
        separator = ",\n";
    }
    return text + "\n]\n";
}

}  // namespace ascend_emulator
