// The emulator's options, as all of its libraries see them. libascendcl.so reads them from the
// environment; options/options.cpp has the table with the variables' names and meanings.
#pragma once

#include <string>
#include <vector>

namespace ascend_emulator {

struct Options {
    long devices = 1;
    long memory_mb = 8192;  // per device
    std::string soc = "Ascend910B2";
    std::string cann_version = "9.1.0";
    std::string driver_version = "25.5.0";
    long window_gb = 256;  // of addresses, for all devices together

    bool synchronous = false;
    long task_delay_us = 0;
    long op_threads = 1;
    long hccl_timeout_s = 120;

    bool poison = true;
    bool leaks = true;
    bool races = false;
    bool kernel_checks = true;
    bool kernel_hints = true;
    long kernel_timeout_s = 900;  // of CPU time
    std::string fault;

    bool banner = true;
    bool trace = false;
    std::string trace_file;
    std::string kernel_trace;
    long kernel_trace_events = 1'000'000;
    long log_level = 4;  // aclAppLog prints messages from this level on; 4 prints none

    std::string home;  // set by ascend_ops.emulator for its own use

    /// Why the environment cannot be used, or ""; aclInit fails with it.
    std::string problem;

    /// Indices of the devices that the process sees, from ASCEND_RT_VISIBLE_DEVICES; all if unset.
    std::vector<int> visible_devices;
};

}  // namespace ascend_emulator
