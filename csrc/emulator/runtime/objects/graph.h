// Captured graphs (aclmdlRI*): the tasks of one or more streams, stored instead of run.
//
// A replay runs them one after another in the order of their capture, which satisfies every
// dependency among them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "emulator/interface/services.h"

namespace ascend_emulator {

class Stream;

class Graph {
  public:
    std::vector<TaskPtr> tasks;
    std::vector<Stream*> streams;  // being captured; the capture began on the first
    void* handle = nullptr;        // valid from the beginning of the capture
};

/// Begin to capture the stream into a new graph. 0, or a code if it is being captured already.
int begin_capture(Stream& stream);

/// End the capture that began on the stream; sets `handle` to the graph's. 0 or a code.
int end_capture(Stream& stream, void** handle);

/// Whether the stream is being captured; if so, the task becomes part of its graph.
bool add_to_capture(Stream& stream, const TaskPtr& task);

/// The graph that the stream is being captured into, or null.
std::shared_ptr<Graph> capture_of(Stream& stream);

/// Make the stream, which waits for an event that was recorded in a capture, part of that capture.
void join_capture(Stream& stream, const std::shared_ptr<Graph>& graph);

/// The graph of a handle; null, with an error noted, if the handle is not a live graph.
std::shared_ptr<Graph> graph_of(void* handle);

/// Destroy a handle that graph_of accepts. Replays that are queued still run.
void destroy_graph(void* handle);

TaskPtr replay_task(std::shared_ptr<Graph> graph);

/// The graph's tasks as JSON.
std::string graph_json(const Graph& graph);

}  // namespace ascend_emulator
