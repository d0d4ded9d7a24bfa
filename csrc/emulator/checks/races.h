// The race detector: happens-before over streams, events and the host, with vector clocks.
//
// A task happens after the tasks queued before it on its stream, after what the host had waited
// for when it queued it, and after the records that its stream waited for. Two accesses to the
// same bytes, one of them a write, that are not so ordered are reported, whether or not they met
// this time. A strided tensor counts as all bytes from its first element to its last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ascend_emulator {

class Task;

using VectorClock = std::vector<std::uint32_t>;

/// A task is queued; each of its accesses is compared with those before.
void note_task(int device, int stream, const Task& task);

/// The host waited for all tasks of a stream.
void note_host_wait(int device, int stream);

/// What a record on this stream, made now, stands for.
VectorClock clock_of(int device, int stream);

/// A stream waits for a record.
void note_stream_wait(int device, int stream, const VectorClock& record);
void note_host_wait(const VectorClock& record);

/// The host itself reads or writes device memory (a synchronous copy).
void note_host_access(const char* function, const void* address, std::size_t bytes, bool writes);

/// Memory was freed: its history is over.
void forget_accesses(const void* address, std::size_t bytes);

/// Races reported so far.
long race_count();

}  // namespace ascend_emulator
