// The environment variables that the emulated NPU reads. The table is in options.cpp; it is read
// once, when the process first calls AscendCL.
#pragma once

#include <string>

namespace ascend_emulator {

struct Options {
    long devices = 1;
    long memory_mb = 8192;  // of each device
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
    std::string fault;

    bool banner = true;
    bool trace = false;
    std::string trace_file;
    long log_level = 4;  // aclAppLog's messages from this level on; 4 is none

    std::string home;  // set by ascend_ops.emulator for its own use

    /// Why the environment cannot be used, "" where it can; aclInit fails with it.
    std::string problem;
};

const Options& options();

/// Options as `environment`, a null-terminated array of NAME=value, describes them.
Options read_options(const char* const* environment);

/// The table as text, a line a variable, with defaults.
std::string describe_options();

}  // namespace ascend_emulator
