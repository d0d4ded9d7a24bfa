// The AscendCL functions of events.
#include <chrono>

#include "acl/acl_rt.h"
#include "emulator/checks/races.h"
#include "emulator/checks/stack.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/event.h"
#include "emulator/runtime/objects/graph.h"
#include "emulator/runtime/objects/stream.h"

using namespace ascend_emulator;

// Events always record the time, so that the flags have no effect.
aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) try {
    (void)flag;
    ACL_ENTER();
    ACL_REQUIRE(event);
    *event = create_event(!is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) try {
    (void)flag;
    ACL_ENTER();
    ACL_REQUIRE(event);
    *event = create_event(!is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtCreateEvent(aclrtEvent* event) try {
    ACL_ENTER();
    ACL_REQUIRE(event);
    *event = create_event(!is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtDestroyEvent(aclrtEvent handle) try {
    ACL_ENTER();
    if (event_of(handle) == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    destroy_event(handle);
    return 0;
}
ACL_CATCH

aclError aclrtRecordEvent(aclrtEvent handle, aclrtStream stream_handle) try {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    Stream* stream = event == nullptr ? nullptr : stream_of(stream_handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (const auto graph = capture_of(*stream)) {
        event->record_in(graph);
        return 0;
    }
    const VectorClock clock =
        options().races ? clock_of(stream->device(), stream->id()) : VectorClock();
    return stream->push(record_task(event, event->queue_record(clock)));
}
ACL_CATCH

aclError aclrtResetEvent(aclrtEvent handle, aclrtStream stream) try {
    ACL_ENTER();
    return event_of(handle) == nullptr || stream_of(stream) == nullptr ? ACL_ERROR_RT_INVALID_HANDLE
                                                                       : 0;
}
ACL_CATCH

aclError aclrtStreamWaitEvent(aclrtStream stream_handle, aclrtEvent handle) try {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    Stream* stream = event == nullptr ? nullptr : stream_of(stream_handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (const auto graph = event->captured_in()) {
        join_capture(*stream, graph);
        return 0;
    }
    if (options().races) {
        note_stream_wait(stream->device(), stream->id(), event->clock());
    }
    const std::uint64_t record = event->newest();
    return event->is_complete() ? 0 : stream->push(wait_task(event, record));
}
ACL_CATCH

aclError aclrtSynchronizeEvent(aclrtEvent handle) try {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    event->wait(event->newest());
    if (options().races) {
        note_host_wait(event->clock());
    }
    return 0;
}
ACL_CATCH

aclError aclrtQueryEventStatus(aclrtEvent handle, aclrtEventRecordedStatus* status) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const bool complete = event->is_complete();
    if (complete && options().races) {  // the host knows now; torch reuses memory after this call
        note_host_wait(event->clock());
    }
    *status = complete ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
    return 0;
}
ACL_CATCH

aclError aclrtQueryEventWaitStatus(aclrtEvent handle, aclrtEventWaitStatus* status) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *status =
        event->is_complete() ? ACL_EVENT_WAIT_STATUS_COMPLETE : ACL_EVENT_WAIT_STATUS_NOT_READY;
    return 0;
}
ACL_CATCH

aclError aclrtEventElapsedTime(float* milliseconds, aclrtEvent begin, aclrtEvent end) try {
    ACL_ENTER();
    ACL_REQUIRE(milliseconds);
    const std::shared_ptr<Event> first = event_of(begin);
    const std::shared_ptr<Event> last = first == nullptr ? nullptr : event_of(end);
    if (last == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    Event::Clock::time_point began;
    Event::Clock::time_point ended;
    if (!first->time(&began) || !last->time(&ended)) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "both events must have completed; record and synchronise them first");
    }
    *milliseconds = std::chrono::duration<float, std::milli>(ended - began).count();
    return 0;
}
ACL_CATCH

aclError aclrtEventGetTimestamp(aclrtEvent handle, uint64_t* timestamp) try {
    ACL_ENTER();
    ACL_REQUIRE(timestamp);
    const std::shared_ptr<Event> event = event_of(handle);
    Event::Clock::time_point when;
    if (event == nullptr || !event->time(&when)) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *timestamp = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count());
    return 0;
}
ACL_CATCH
