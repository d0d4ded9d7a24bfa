// The last error: its code, and its message for aclGetRecentErrMsg.
#pragma once

#include <string>

namespace ascend_emulator {

/// Name the function that this thread is in, for messages. The text must outlive the call.
void set_current_function(const char* name);

/// Note the message, prefixed with the current function, and return `code`.
int fail(int code, const std::string& message);

/// Whether any call or task failed in this process.
bool has_failed();

/// Note the failure of a task on a stream's worker and print its message, as the call that returns
/// the code may be far from the one that queued the task. Any thread may fetch the message.
std::string note_task_error(const char* task, int code);

/// Make the message of a failed task this thread's, and return `code`.
int fail_as_task(int code, const std::string& message);

/// Return the message of this thread's last failure, or else of a failed task, and forget it; null
/// if nothing failed. The text lives until the thread's next call.
const char* take_message();

/// The code of this thread's last failure, 0 for none; take_last_error also forgets it.
int last_error();
int take_last_error();

}  // namespace ascend_emulator
