// What orders streams besides events: notifies, host callbacks, values in memory, task groups.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "check.h"
#include "flag.h"

namespace {

void increment(void* counter) { ++*static_cast<std::atomic<int>*>(counter); }

}  // namespace

TEST(a_notify_is_reset_by_the_wait_for_it) {
    begin();
    aclrtStream first = new_stream();
    aclrtStream second = new_stream();
    aclrtNotify notify = nullptr;
    std::atomic<int> counter{0};
    CHECK_EQUAL(aclrtCreateNotify(&notify, 0), 0);
    for (int round = 1; round <= 3; ++round) {
        CHECK_EQUAL(aclrtWaitAndResetNotify(notify, second, 0), 0);
        CHECK_EQUAL(aclrtLaunchHostFunc(second, increment, &counter), 0);
        CHECK_EQUAL(counter, round - 1);
        CHECK_EQUAL(aclrtRecordNotify(notify, first), 0);
        CHECK_EQUAL(aclrtSynchronizeStream(second), 0);
        CHECK_EQUAL(counter, round);
    }
    CHECK_EQUAL(aclrtWaitAndResetNotify(notify, second, 1), 0);
    CHECK_REFUSED(aclrtSynchronizeStream(second), 107019, "was not recorded within 1 ms");
    CHECK_EQUAL(aclrtDestroyNotify(notify), 0);
    CHECK_REFUSED(aclrtRecordNotify(notify, first), 107017, "notify 0x");
}

TEST(a_counting_notify_adds_up) {
    begin();
    aclrtStream first = new_stream();
    aclrtStream second = new_stream();
    aclrtCntNotify notify = nullptr;
    CHECK_EQUAL(aclrtCntNotifyCreate(&notify, 0), 0);
    aclrtCntNotifyWaitInfo wait{ACL_RT_CNT_NOTIFY_WAIT_BIGGER_OR_EQUAL_MODE, 5, 0, 1, {}};
    aclrtCntNotifyRecordInfo add{ACL_RT_CNT_NOTIFY_RECORD_ADD_MODE, 2};
    CHECK_EQUAL(aclrtCntNotifyWaitWithTimeout(notify, second, &wait), 0);
    for (int i = 0; i < 2; ++i) {
        CHECK_EQUAL(aclrtCntNotifyRecord(notify, first, &add), 0);
    }
    CHECK_REFUSED(aclrtSynchronizeStreamWithTimeout(second, 20), 507046, "did not finish");
    CHECK_EQUAL(aclrtCntNotifyRecord(notify, first, &add), 0);
    CHECK_EQUAL(aclrtSynchronizeStream(second), 0);
    CHECK_EQUAL(aclrtCntNotifyDestroy(notify), 0);
}

TEST(notifies_and_events_order_two_processes) {
    int pipes[2][2];
    CHECK_EQUAL(pipe(pipes[0]) + pipe(pipes[1]), 0);
    const pid_t child = fork();
    aclrtIpcEventHandle event_key = {};
    char notify_key[65] = {};
    if (child == 0) {
        begin();
        aclrtEvent event = nullptr;
        aclrtNotify notify = nullptr;
        CHECK_EQUAL(read(pipes[0][0], &event_key, sizeof event_key), sizeof event_key);
        CHECK_EQUAL(read(pipes[0][0], notify_key, sizeof notify_key), sizeof notify_key);
        CHECK_EQUAL(aclrtIpcOpenEventHandle(event_key, &event), 0);
        CHECK_EQUAL(aclrtNotifyImportByKey(&notify, notify_key, 0), 0);
        CHECK_EQUAL(aclrtRecordEvent(event, nullptr), 107000);
        CHECK_EQUAL(aclrtStreamWaitEvent(nullptr, event), 0);
        CHECK_EQUAL(aclrtRecordNotify(notify, nullptr), 0);
        CHECK_EQUAL(write(pipes[1][1], "x", 1), 1);
        CHECK_EQUAL(aclrtSynchronizeStream(nullptr), 0);
        _exit(0);
    }
    begin();
    aclrtEvent event = nullptr;
    aclrtNotify notify = nullptr;
    Flag go_on;
    char queued = 0;
    go_on.hold(nullptr);
    CHECK_EQUAL(aclrtCreateEventExWithFlag(&event, ACL_EVENT_IPC), 0);
    CHECK_EQUAL(aclrtCreateNotify(&notify, 0), 0);
    CHECK_EQUAL(aclrtRecordEvent(event, nullptr), 0);
    CHECK_EQUAL(aclrtIpcGetEventHandle(event, &event_key), 0);
    CHECK_EQUAL(aclrtNotifyGetExportKey(notify, notify_key, sizeof notify_key, 0), 0);
    CHECK_EQUAL(write(pipes[0][1], &event_key, sizeof event_key), sizeof event_key);
    CHECK_EQUAL(write(pipes[0][1], notify_key, sizeof notify_key), sizeof notify_key);
    CHECK_EQUAL(read(pipes[1][0], &queued, 1), 1);
    aclrtStream waiting = new_stream();
    CHECK_EQUAL(aclrtWaitAndResetNotify(notify, waiting, 0), 0);
    CHECK_REFUSED(aclrtSynchronizeStreamWithTimeout(waiting, 20), 507046, "did not finish");
    go_on.raise();
    CHECK_EQUAL(aclrtSynchronizeStream(waiting), 0);
    int status = 0;
    waitpid(child, &status, 0);
    CHECK_EQUAL(status, 0);
}

TEST(a_callback_runs_on_the_thread_that_subscribed) {
    begin();
    struct Seen {
        std::thread::id thread;
        std::atomic<bool> ends{false};
        std::atomic<int> calls{0};
    } seen;
    aclrtStream stream = new_stream();
    const auto note = [](void* pointer) {
        auto* found = static_cast<Seen*>(pointer);
        found->thread = std::this_thread::get_id();
        ++found->calls;
    };
    CHECK_REFUSED(aclrtLaunchCallback(note, &seen, ACL_CALLBACK_BLOCK, stream), 107015,
                  "must be subscribed to the stream first");
    std::thread processing([&] {
        while (!seen.ends) {
            aclrtProcessReport(10);
        }
    });
    const auto thread = static_cast<std::uint64_t>(processing.native_handle());
    CHECK_EQUAL(aclrtSubscribeReport(thread, stream), 0);
    CHECK_EQUAL(aclrtLaunchCallback(note, &seen, ACL_CALLBACK_BLOCK, stream), 0);
    CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
    CHECK_EQUAL(seen.calls, 1);
    CHECK(seen.thread == processing.get_id());
    CHECK_EQUAL(aclrtUnSubscribeReport(thread, stream), 0);
    CHECK_REFUSED(aclrtUnSubscribeReport(thread, stream), 107012, "must be subscribed");
    seen.ends = true;
    processing.join();
}

TEST(a_stream_waits_for_a_value_that_another_writes) {
    begin();
    aclrtStream first = new_stream();
    aclrtStream second = new_stream();
    auto* word = device_memory<std::uint64_t>(8);
    CHECK_EQUAL(aclrtMemset(word, 8, 0, 8), 0);
    CHECK_EQUAL(aclrtValueWait(word, 7, ACL_STREAM_WAIT_VALUE_GEQ, second), 0);
    CHECK_REFUSED(aclrtSynchronizeStreamWithTimeout(second, 20), 507046, "did not finish");
    CHECK_EQUAL(aclrtValueWrite(word, 8, 0, first), 0);
    CHECK_EQUAL(aclrtSynchronizeStream(second), 0);
    CHECK_REFUSED(aclrtValueWrite(word, 8, 1, first), 107000, "flag must be at most 0, got 1");
}

TEST(an_update_replaces_the_tasks_of_a_group_before_a_graph_reaches_them) {
    begin();
    aclrtStream stream = new_stream();
    aclrtStream updates = new_stream();
    aclrtEvent external = nullptr;
    CHECK_EQUAL(aclrtCreateEventExWithFlag(&external, ACL_EVENT_EXTERNAL), 0);
    std::atomic<int> before{0};
    std::atomic<int> after{0};
    aclmdlRI graph = nullptr;
    aclrtTaskGrp group = nullptr;
    CHECK_EQUAL(aclmdlRICaptureBegin(stream, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL), 0);
    CHECK_EQUAL(aclrtStreamWaitEvent(stream, external), 0);
    CHECK_EQUAL(aclrtResetEvent(external, stream), 0);
    CHECK_EQUAL(aclmdlRICaptureTaskGrpBegin(stream), 0);
    CHECK_EQUAL(aclrtLaunchHostFunc(stream, increment, &before), 0);
    CHECK_EQUAL(aclmdlRICaptureTaskGrpEnd(stream, &group), 0);
    CHECK_EQUAL(aclmdlRICaptureEnd(stream, &graph), 0);
    for (int replay = 1; replay <= 2; ++replay) {
        CHECK_EQUAL(aclmdlRIExecuteAsync(graph, stream), 0);
        CHECK_EQUAL(aclmdlRICaptureTaskUpdateBegin(updates, group), 0);
        CHECK_EQUAL(aclrtLaunchHostFunc(updates, increment, &after), 0);
        CHECK_EQUAL(aclmdlRICaptureTaskUpdateEnd(updates), 0);
        CHECK_EQUAL(aclrtRecordEvent(external, updates), 0);
        CHECK_EQUAL(aclrtSynchronizeStream(stream), 0);
        CHECK_EQUAL(before, 0);
        CHECK_EQUAL(after, replay);
    }
    CHECK_EQUAL(aclmdlRICaptureTaskUpdateBegin(updates, group), 0);
    CHECK_REFUSED(aclmdlRICaptureTaskUpdateEnd(updates), 107040, "as the group has, 1, got 0");
    CHECK_EQUAL(aclmdlRIDestroy(graph), 0);
    CHECK_REFUSED(aclmdlRICaptureTaskUpdateBegin(updates, group), 107017, "task group 0x");
}
