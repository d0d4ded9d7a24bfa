// Captured graphs (aclmdlRI*): the tasks of one or more streams, kept instead of run.
//
// A replay runs them one after another in the order of their capture, which every dependency
// among them agrees with.
#pragma once

#include <mutex>
#include <vector>

#include "emulator/interface/services.h"

namespace ascend_emulator {

class Stream;

class Graph {
  public:
    std::vector<TaskPtr> tasks;
    std::vector<Stream*> streams;  // that are being captured; the first is where it began
    Handle* handle = nullptr;      // what the caller knows it by, from the beginning of the capture
};

/// Whether the stream is being captured; if so the task became part of its graph.
bool add_to_capture(Stream& stream, const TaskPtr& task);

/// The graph that the stream is being captured into, or null.
std::shared_ptr<Graph> capture_of(Stream& stream);

/// The stream waits for an event that was recorded in a capture: it becomes part of it.
void join_capture(Stream& stream, const std::shared_ptr<Graph>& graph);

}  // namespace ascend_emulator
