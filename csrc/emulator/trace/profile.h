// What aclprof records: the tasks that run between a start and a stop, written in the form in which
// CANN's msprof exports them. The emulated CANN's msprof moves them to where torch_npu.profiler and
// other readers look.
// All names say that the times are the emulator's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ascend_emulator {

/// When and on which thread a task was queued; 0 if it is not profiled.
struct QueueingCall {
    std::int64_t time = 0;  // ns of CLOCK_MONOTONIC_RAW
    int thread = 0;
};

/// Whether tasks are being recorded.
bool is_profiling();

/// The call that is queueing a task now.
QueueingCall queueing_call();

/// The present time in ns of CLOCK_MONOTONIC_RAW, torch_npu's clock.
std::int64_t profile_time();

/// Record a task that ran from `begin` to `end`.
void profile_task(const char* name, int device, int stream, const QueueingCall& call,
                  std::int64_t begin, std::int64_t end);

/// Choose the folder in which each profile becomes a folder of its own.
void set_profile_folder(const std::string& folder);

/// Begin a profile, or go on with the one that was stopped, of the tasks on these devices.
void start_profile(const std::vector<int>& devices);

/// Stop recording and write what was recorded so far. False if it cannot be written.
bool stop_profile();

/// Forget the profile, so that the next start begins a new one.
void end_profile();

}  // namespace ascend_emulator
