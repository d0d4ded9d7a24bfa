// The AscendCL functions of events.
#include <chrono>
#include <cstdio>

#include "acl/acl_rt.h"
#include "emulator/checks/races.h"
#include "emulator/checks/stack.h"
#include "emulator/options/options.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/event.h"
#include "emulator/runtime/objects/graph.h"
#include "emulator/runtime/objects/shared_records.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

int wait_on_stream(aclrtStream stream_handle, aclrtEvent handle, int timeout_ms) {
    const std::shared_ptr<Event> event = event_of(handle);
    Stream* stream = event == nullptr ? nullptr : stream_of(stream_handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (event->is_external()) {
        return stream->push(event->wait_for_flag_task());
    }
    if (const auto graph = event->captured_in()) {
        join_capture(*stream, graph);
        return 0;
    }
    const CompletionPtr record = event->newest();
    if (record == nullptr) {
        return 0;
    }
    if (options().races) {
        note_stream_wait(stream->device(), stream->id(), record->clock());
    }
    return record->is_complete() ? 0 : stream->push(wait_task(record, timeout_ms));
}

int wait_on_host(aclrtEvent handle, int timeout_ms) {
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const CompletionPtr record = event->newest();
    if (record == nullptr) {
        return 0;
    }
    if (!record->wait(timeout_ms)) {
        return fail(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT,
                    "the event did not complete within " + std::to_string(timeout_ms) + " ms");
    }
    if (options().races) {
        note_host_wait(record->clock());
    }
    return 0;
}

bool is_complete_for_host(Event& event) {
    const CompletionPtr record = event.newest();
    if (record == nullptr) {
        return true;
    }
    const bool complete = record->is_complete();
    if (complete && options().races) {  // torch reuses memory after this call
        note_host_wait(record->clock());
    }
    return complete;
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

// Events always record the time, so that the flags that CANN has for speed have no effect.
aclError aclrtCreateEventExWithFlag(aclrtEvent* event, uint32_t flag) try {
    ACL_ENTER();
    ACL_REQUIRE(event);
    *event = create_event(flag, !is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtCreateEventWithFlag(aclrtEvent* event, uint32_t flag) try {
    ACL_ENTER();
    ACL_REQUIRE(event);
    *event = create_event(flag, !is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH

aclError aclrtCreateEvent(aclrtEvent* event) try {
    ACL_ENTER();
    ACL_REQUIRE(event);
    *event = create_event(0, !is_torch_npu(__builtin_return_address(0)));
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
    if (event->shared() != nullptr && event->shared()->is_imported()) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "an event of another process cannot be recorded, only waited for");
    }
    if (event->is_external()) {
        return stream->push(event->set_task());
    }
    if (const auto graph = capture_of(*stream)) {
        event->record_in(graph);
        return 0;
    }
    const VectorClock clock =
        options().races ? clock_of(stream->device(), stream->id()) : VectorClock();
    return stream->push(record_task(event->begin_record(clock)));
}
ACL_CATCH

// A wait is for the record before it, so that only the flag of an external event must be cleared.
aclError aclrtResetEvent(aclrtEvent handle, aclrtStream stream_handle) try {
    ACL_ENTER();
    const std::shared_ptr<Event> event = event_of(handle);
    Stream* stream = event == nullptr ? nullptr : stream_of(stream_handle);
    if (stream == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    return event->is_external() ? stream->push(event->clear_task()) : 0;
}
ACL_CATCH

aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) try {
    ACL_ENTER();
    return wait_on_stream(stream, event, -1);
}
ACL_CATCH

aclError aclrtStreamWaitEventWithTimeout(aclrtStream stream, aclrtEvent event,
                                         int32_t timeout) try {
    ACL_ENTER();
    return wait_on_stream(stream, event, timeout);
}
ACL_CATCH

aclError aclrtSynchronizeEvent(aclrtEvent event) try {
    ACL_ENTER();
    return wait_on_host(event, -1);
}
ACL_CATCH

aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t timeout) try {
    ACL_ENTER();
    return wait_on_host(event, timeout);
}
ACL_CATCH

aclError aclrtQueryEventStatus(aclrtEvent handle, aclrtEventRecordedStatus* status) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const bool complete = is_complete_for_host(*event);
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
    const CompletionPtr began = first->newest();
    const CompletionPtr ended = last->newest();
    if (began == nullptr || ended == nullptr || !began->is_complete() || !ended->is_complete()) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "both events must have completed; record and synchronise them first");
    }
    *milliseconds = std::chrono::duration<float, std::milli>(ended->when() - began->when()).count();
    return 0;
}
ACL_CATCH

aclError aclrtEventGetTimestamp(aclrtEvent handle, uint64_t* timestamp) try {
    ACL_ENTER();
    ACL_REQUIRE(timestamp);
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const CompletionPtr record = event->newest();
    if (record == nullptr || !record->is_complete()) {
        return fail(ACL_ERROR_RT_EVENT_NOT_COMPLETE,
                    "the event must have completed; record and synchronise it first");
    }
    *timestamp = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(record->when().time_since_epoch())
            .count());
    return 0;
}
ACL_CATCH

aclError aclrtQueryEvent(aclrtEvent handle, aclrtEventStatus* status) try {
    ACL_ENTER();
    ACL_REQUIRE(status);
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *status = is_complete_for_host(*event) ? ACL_EVENT_STATUS_COMPLETE : ACL_EVENT_STATUS_NOT_READY;
    return 0;
}
ACL_CATCH

aclError aclrtGetEventId(aclrtEvent handle, uint32_t* id) try {
    ACL_ENTER();
    ACL_REQUIRE(id);
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *id = static_cast<uint32_t>(event->id());
    return 0;
}
ACL_CATCH

aclError aclrtIpcGetEventHandle(aclrtEvent handle, aclrtIpcEventHandle* key) try {
    ACL_ENTER();
    ACL_REQUIRE(key);
    const std::shared_ptr<Event> event = event_of(handle);
    if (event == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    if (event->shared() == nullptr || event->shared()->is_imported()) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the event must be one that this process created with ACL_EVENT_IPC");
    }
    std::snprintf(key->reserved, sizeof key->reserved, "%s", event->shared()->key().c_str());
    return 0;
}
ACL_CATCH

aclError aclrtIpcOpenEventHandle(aclrtIpcEventHandle key, aclrtEvent* event) try {
    ACL_ENTER();
    ACL_REQUIRE(event);
    key.reserved[sizeof key.reserved - 1] = '\0';
    *event = import_event(key.reserved, !is_torch_npu(__builtin_return_address(0)));
    return 0;
}
ACL_CATCH
