// Traces of calls and tasks, as text on standard error (ASCEND_EMULATOR_TRACE=1) and as a Chrome
// trace (ASCEND_EMULATOR_TRACE_FILE), which Perfetto and chrome://tracing open.
#pragma once

#include <chrono>
#include <string>

namespace ascend_emulator {

void trace_text(const std::string& line);

bool tracing_tasks();

/// Trace a task that ran on a stream; `arguments` are JSON members, or "".
void trace_task(const char* name, int device, int stream,
                std::chrono::steady_clock::time_point begin,
                std::chrono::steady_clock::time_point end, const std::string& arguments);

/// End the Chrome trace, if one was begun; it does not contain later tasks.
void end_trace();

}  // namespace ascend_emulator
