// The race detector: happens-before over streams, events and the host, with vector clocks.
//
// A task happens after the tasks queued before it on its stream, after everything that the host had
// waited for when it queued the task, and after the records that its stream waited for. Two
// accesses to the same bytes, one of them a write, that are not ordered in this way are reported,
// whether or not they overlapped in this run. A strided tensor counts as all bytes from its first
// element to its last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ascend_emulator {

class Task;

using VectorClock = std::vector<std::uint32_t>;

/// Note that a task is queued, and compare its accesses with the earlier ones.
void note_task(int device, int stream, const Task& task);

/// Note that the host waited for all tasks of a stream.
void note_host_wait(int device, int stream);

/// The clock of a record that is made on this stream now.
VectorClock clock_of(int device, int stream);

/// Note that a stream, or the host, waits for a record.
void note_stream_wait(int device, int stream, const VectorClock& record);
void note_host_wait(const VectorClock& record);

/// Note that the host itself reads or writes device memory (a synchronous copy).
void note_host_access(const char* function, const void* address, std::size_t bytes, bool writes);

/// Forget the history of memory that was freed.
void forget_accesses(const void* address, std::size_t bytes);

/// The number of races reported so far.
long race_count();

}  // namespace ascend_emulator
