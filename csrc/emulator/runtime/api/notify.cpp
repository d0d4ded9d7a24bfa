// The AscendCL functions of notifies, and of counting ones.
#include "emulator/runtime/objects/notify.h"

#include <cstdio>

#include "acl/acl_rt.h"
#include "emulator/runtime/api/entry.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

std::uint32_t to_set(std::uint32_t) { return 1; }
std::uint32_t to_clear(std::uint32_t) { return 0; }

/// CANN's 0 stands for no limit.
int limit_of(std::uint32_t timeout_ms) {
    return timeout_ms == 0 ? -1 : static_cast<int>(timeout_ms);
}

int update(void* handle, aclrtStream stream, SharedWord::Change change, const char* name) {
    const Notify* notify = notify_of(handle);
    return notify == nullptr
               ? ACL_ERROR_RT_INVALID_HANDLE
               : enqueue(stream, update_notify_task(*notify, std::move(change), name));
}

/// How a counting notify changes, or null for an unknown mode.
SharedWord::Change change_of(const aclrtCntNotifyRecordInfo& info) {
    const std::uint32_t operand = info.value;
    switch (info.mode) {
        case ACL_RT_CNT_NOTIFY_RECORD_SET_VALUE_MODE:
            return [operand](std::uint32_t) { return operand; };
        case ACL_RT_CNT_NOTIFY_RECORD_ADD_MODE:
            return [operand](std::uint32_t value) { return value + operand; };
        case ACL_RT_CNT_NOTIFY_RECORD_BIT_OR_MODE:
            return [operand](std::uint32_t value) { return value | operand; };
        case ACL_RT_CNT_NOTIFY_RECORD_BIT_AND_MODE:
            return [operand](std::uint32_t value) { return value & operand; };
    }
    return nullptr;
}

/// What a wait for a counting notify waits for, or null for an unknown mode.
SharedWord::Predicate predicate_of(const aclrtCntNotifyWaitInfo& info) {
    const std::uint32_t operand = info.value;
    switch (info.mode) {
        case ACL_RT_CNT_NOTIFY_WAIT_LESS_MODE:
            return [operand](std::uint32_t value) { return value < operand; };
        case ACL_RT_CNT_NOTIFY_WAIT_EQUAL_MODE:
            return [operand](std::uint32_t value) { return value == operand; };
        case ACL_RT_CNT_NOTIFY_WAIT_BIGGER_MODE:
            return [operand](std::uint32_t value) { return value > operand; };
        case ACL_RT_CNT_NOTIFY_WAIT_BIGGER_OR_EQUAL_MODE:
            return [operand](std::uint32_t value) { return value >= operand; };
        case ACL_RT_CNT_NOTIFY_WAIT_EQUAL_WITH_BITMASK_MODE:
            return [operand](std::uint32_t value) { return (value & operand) == operand; };
    }
    return nullptr;
}

}  // namespace
}  // namespace ascend_emulator

using namespace ascend_emulator;

// The flag decides which side may use a notify, and has no effect here.
aclError aclrtCreateNotify(aclrtNotify* notify, uint64_t flag) try {
    (void)flag;
    ACL_ENTER();
    ACL_REQUIRE(notify);
    *notify = create_notify();
    return 0;
}
ACL_CATCH

aclError aclrtDestroyNotify(aclrtNotify handle) try {
    ACL_ENTER();
    Notify* notify = notify_of(handle);
    if (notify == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    destroy_notify(notify);
    return 0;
}
ACL_CATCH

aclError aclrtRecordNotify(aclrtNotify notify, aclrtStream stream) try {
    ACL_ENTER();
    return update(notify, stream, to_set, __func__);
}
ACL_CATCH

aclError aclrtWaitAndResetNotify(aclrtNotify handle, aclrtStream stream, uint32_t timeout) try {
    ACL_ENTER();
    const Notify* notify = notify_of(handle);
    return notify == nullptr
               ? ACL_ERROR_RT_INVALID_HANDLE
               : enqueue(stream, wait_notify_task(
                                     *notify, [](std::uint32_t value) { return value != 0; },
                                     to_clear, limit_of(timeout), __func__));
}
ACL_CATCH

aclError aclrtGetNotifyId(aclrtNotify handle, uint32_t* id) try {
    ACL_ENTER();
    ACL_REQUIRE(id);
    const Notify* notify = notify_of(handle);
    if (notify == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    *id = static_cast<uint32_t>(notify->id);
    return 0;
}
ACL_CATCH

aclError aclrtNotifyBatchReset(aclrtNotify* handles, size_t count) try {
    ACL_ENTER();
    ACL_REQUIRE(handles);
    for (size_t i = 0; i < count; ++i) {
        if (notify_of(handles[i]) == nullptr) {
            return ACL_ERROR_RT_INVALID_HANDLE;
        }
    }
    for (size_t i = 0; i < count; ++i) {
        notify_of(handles[i])->words->first().update(to_clear);
    }
    return 0;
}
ACL_CATCH

aclError aclrtNotifyGetExportKey(aclrtNotify handle, char* key, size_t capacity,
                                 uint64_t flags) try {
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(key);
    const Notify* notify = notify_of(handle);
    if (notify == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    const std::string text = notify->words->key();
    if (notify->words->is_imported() || capacity <= text.size()) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "the notify must be one that this process created, and len more than " +
                        std::to_string(text.size()) + ", got " + std::to_string(capacity));
    }
    std::snprintf(key, capacity, "%s", text.c_str());
    return 0;
}
ACL_CATCH

aclError aclrtNotifyImportByKey(aclrtNotify* notify, const char* key, uint64_t flags) try {
    (void)flags;
    ACL_ENTER();
    ACL_REQUIRE(notify);
    ACL_REQUIRE(key);
    *notify = import_notify(key);
    return 0;
}
ACL_CATCH

// Every process of this user may import.
aclError aclrtNotifySetImportPid(aclrtNotify notify, int32_t* pids, size_t count) try {
    (void)pids;
    (void)count;
    ACL_ENTER();
    return notify_of(notify) == nullptr ? ACL_ERROR_RT_INVALID_HANDLE : 0;
}
ACL_CATCH

aclError aclrtCntNotifyCreate(aclrtCntNotify* notify, uint64_t flag) try {
    return aclrtCreateNotify(notify, flag);
}
ACL_CATCH

aclError aclrtCntNotifyDestroy(aclrtCntNotify notify) try { return aclrtDestroyNotify(notify); }
ACL_CATCH

aclError aclrtCntNotifyGetId(aclrtCntNotify notify, uint32_t* id) try {
    return aclrtGetNotifyId(notify, id);
}
ACL_CATCH

aclError aclrtCntNotifyReset(aclrtCntNotify notify, aclrtStream stream) try {
    ACL_ENTER();
    return update(notify, stream, to_clear, __func__);
}
ACL_CATCH

aclError aclrtCntNotifyRecord(aclrtCntNotify notify, aclrtStream stream,
                              aclrtCntNotifyRecordInfo* info) try {
    ACL_ENTER();
    ACL_REQUIRE(info);
    SharedWord::Change change = change_of(*info);
    return change == nullptr
               ? fail(ACL_ERROR_RT_PARAM_INVALID,
                      "mode must be an aclrtCntNotifyRecordMode, got " + std::to_string(info->mode))
               : update(notify, stream, std::move(change), __func__);
}
ACL_CATCH

aclError aclrtCntNotifyWaitWithTimeout(aclrtCntNotify handle, aclrtStream stream,
                                       aclrtCntNotifyWaitInfo* info) try {
    ACL_ENTER();
    ACL_REQUIRE(info);
    const Notify* notify = notify_of(handle);
    if (notify == nullptr) {
        return ACL_ERROR_RT_INVALID_HANDLE;
    }
    SharedWord::Predicate wanted = predicate_of(*info);
    if (wanted == nullptr) {
        return fail(ACL_ERROR_RT_PARAM_INVALID,
                    "mode must be an aclrtCntNotifyWaitMode, got " + std::to_string(info->mode));
    }
    const bool clears = info->isClear != 0;
    return enqueue(stream, wait_notify_task(
                               *notify, std::move(wanted),
                               [clears](std::uint32_t value) { return clears ? 0 : value; },
                               limit_of(info->timeout), __func__));
}
ACL_CATCH
