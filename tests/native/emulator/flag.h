// A flag that the host and streams raise and wait for, so that a test decides when a task runs.
//
// It orders nothing for a race detector: the accesses are relaxed. A test that brings two racing
// accesses together with it is still racing, and one that passes data must synchronize as well.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "check.h"

class Flag {
  public:
    void raise() { raised_.store(true, std::memory_order_relaxed); }
    void wait() const {
        while (!raised_.load(std::memory_order_relaxed)) {
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
    }
    /// The stream raises the flag when it has run the tasks queued so far.
    void raise_on(aclrtStream stream) {
        CHECK_EQUAL(aclrtLaunchHostFunc(
                        stream, [](void* flag) { static_cast<Flag*>(flag)->raise(); }, this),
                    0);
    }
    /// The stream runs no task queued after this one until the flag is raised.
    void hold(aclrtStream stream) {
        CHECK_EQUAL(aclrtLaunchHostFunc(
                        stream, [](void* flag) { static_cast<const Flag*>(flag)->wait(); }, this),
                    0);
    }

  private:
    std::atomic<bool> raised_{false};
};
