// Functions that a stream hands to a thread of the program: the thread subscribes to the stream and
// runs the functions when it processes its reports.
#pragma once

#include <cstdint>

#include "emulator/interface/services.h"

namespace ascend_emulator {

class Stream;

using HostCallback = void (*)(void*);

/// Make a thread, given as its pthread_t, run the stream's functions. 0, or a code if the stream
/// has a thread.
int subscribe(std::uint64_t thread, const Stream& stream);

/// 0, or a code if the thread has not subscribed to the stream. Functions that wait to be run are
/// dropped, and the stream goes on.
int unsubscribe(std::uint64_t thread, const Stream& stream);

/// Whether a thread has subscribed to the stream.
bool is_subscribed(const Stream& stream);

/// A task that hands the function to the stream's thread and, if it `blocks`, waits for its end.
TaskPtr callback_task(const Stream& stream, HostCallback function, void* argument, bool blocks);

/// Run the functions that this thread has been handed, after waiting for the first, at most
/// `timeout_ms` if it is not negative. 0 or a code.
int process_callbacks(int timeout_ms);

}  // namespace ascend_emulator
