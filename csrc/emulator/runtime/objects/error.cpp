#include "emulator/runtime/objects/error.h"

#include <atomic>
#include <cstdio>
#include <mutex>

#include "emulator/trace/trace.h"

namespace ascend_emulator {
namespace {

thread_local const char* current_function = "";
thread_local std::string message_of_thread;
thread_local std::string message_given_out;
thread_local int last_code = 0;

std::atomic<bool> any_failed{false};
std::mutex task_mutex;
std::string message_of_tasks;

}  // namespace

void set_current_function(const char* name) { current_function = name; }

int fail(int code, const std::string& message) {
    message_of_thread = "[emulated NPU] " + std::string(current_function) + ": " + message;
    last_code = code;
    any_failed = true;
    trace_text("error " + std::to_string(code) + ": " + message_of_thread);
    return code;
}

bool has_failed() { return any_failed; }

std::string note_task_error(const char* task, int code) {
    constexpr int printed_at_most = 20;
    static std::atomic<int> printed{0};
    std::string message =
        message_of_thread.empty()
            ? "[emulated NPU] " + std::string(task) + " failed with code " + std::to_string(code)
            : message_of_thread;
    message_of_thread.clear();
    if (printed++ < printed_at_most) {
        std::fprintf(stderr, "%s\n", message.c_str());
    }
    const std::lock_guard<std::mutex> lock(task_mutex);
    if (message_of_tasks.empty()) {  // the first failure is the cause of the others
        message_of_tasks = message;
    }
    return message;
}

int fail_as_task(int code, const std::string& message) {
    message_of_thread = message;
    last_code = code;
    return code;
}

const char* take_message() {
    message_given_out.swap(message_of_thread);
    message_of_thread.clear();
    if (message_given_out.empty()) {
        const std::lock_guard<std::mutex> lock(task_mutex);
        message_given_out.swap(message_of_tasks);
        message_of_tasks.clear();
    }
    return message_given_out.empty() ? nullptr : message_given_out.c_str();
}

int last_error() { return last_code; }

int take_last_error() {
    const int code = last_code;
    last_code = 0;
    return code;
}

}  // namespace ascend_emulator
