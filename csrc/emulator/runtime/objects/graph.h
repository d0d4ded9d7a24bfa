// Captured graphs (aclmdlRI*): the tasks of one or more streams, stored instead of run.
//
// A replay runs them one after another in the order of their capture, which satisfies every
// dependency among them.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "emulator/interface/services.h"

namespace ascend_emulator {

class Stream;

class Graph {
  public:
    Graph();

    const int id;
    std::string name;
    std::vector<Stream*> streams;  // being captured; the capture began on the first
    void* handle = nullptr;        // valid from the beginning of the capture
    std::vector<void*> groups;     // handles of its task groups, which live as long as its own
    /// Functions to call when the handle is destroyed, and their arguments.
    std::vector<std::pair<void (*)(void*), void*>> at_destruction;

    /// Append a task and return its position.
    std::size_t add(TaskPtr task);
    /// Replace a task, which a replay that runs may be about to reach.
    void replace(std::size_t position, TaskPtr task);
    /// The task at a position, or null behind the last one.
    TaskPtr task(std::size_t position) const;
    std::vector<TaskPtr> tasks() const;

  private:
    mutable std::mutex mutex_;
    std::vector<TaskPtr> tasks_;
};

/// Tasks of a graph that are replaced together: what is queued on a stream between the begin and
/// the end of an update takes their places one by one.
struct TaskGroup {
    explicit TaskGroup(std::shared_ptr<Graph> its_graph) : graph(std::move(its_graph)) {}
    const std::shared_ptr<Graph> graph;
    std::vector<std::size_t> positions;
};

/// Begin to capture the stream into a new graph. 0, or a code if it is being captured already.
int begin_capture(Stream& stream);

/// End the capture that began on the stream; sets `handle` to the graph's. 0 or a code.
int end_capture(Stream& stream, void** handle);

/// Whether the stream is being captured or updates a group; if so, the task becomes part of a
/// graph.
bool add_to_capture(Stream& stream, const TaskPtr& task);

/// Put what is captured on the stream from now on into a new group, until the end. 0 or a code.
int begin_group(Stream& stream);
int end_group(Stream& stream, void** handle);

/// Make what is queued on the stream from now on replace the tasks of a group, until the end. 0 or
/// a code, which the end returns if the number of tasks was another.
int begin_update(Stream& stream, void* handle);
int end_update(Stream& stream);

/// The graph that the stream is being captured into, or null.
std::shared_ptr<Graph> capture_of(Stream& stream);

/// Make the stream, which waits for an event that was recorded in a capture, part of that capture.
void join_capture(Stream& stream, const std::shared_ptr<Graph>& graph);

/// The graph of a handle; null, with an error noted, if the handle is not a live graph.
std::shared_ptr<Graph> graph_of(void* handle);

/// Destroy a handle that graph_of accepts. Replays that are queued still run.
void destroy_graph(void* handle);

TaskPtr replay_task(std::shared_ptr<Graph> graph, const Stream& stream);

/// The graph's tasks as a Chrome trace, as CANN writes it: one event per task, whose time is its
/// position.
std::string graph_json(const Graph& graph);

}  // namespace ascend_emulator
