// The last error: its code, and its message for aclGetRecentErrMsg.
#pragma once

#include <string>

#include "acl/acl_base.h"

namespace ascend_emulator {

/// Names the function that this thread is in, for messages. The text must outlive the call.
void set_current_function(const char* name);

/// Notes the message, headed by the current function; returns `code`.
int fail(int code, const std::string& message);

/// Whether anything failed in this process.
bool has_failed();

/// As fail, from a stream's worker: any thread may fetch the message.
void note_task_error(const char* task, int code);

/// The text of a range of memory, a size or a count.
std::string to_text(const void* address);

}  // namespace ascend_emulator
