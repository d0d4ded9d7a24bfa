// Reads the emulator's options from the environment.
#pragma once

#include <string>

#include "emulator/interface/options.h"

namespace ascend_emulator {

/// The options of this process. They are read once, when the process first calls AscendCL; a fork
/// of a process that has not initialised it reads its own.
const Options& options();

/// Called by aclInit: what is set up from now on follows the options, so forks keep them.
void keep_options_in_forks();

/// Read the options from `environment`, a null-terminated array of NAME=value.
Options read_options(const char* const* environment);

/// The table of options with defaults, one line per variable.
std::string describe_options();

}  // namespace ascend_emulator
