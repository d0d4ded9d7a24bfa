// The file of ASCEND_EMULATOR_KERNEL_TRACE. What is in it comes from libascendc_emulated.
#pragma once

#include <string>

namespace ascend_emulator {

/// Write events of kernels, each of which ends in a comma and a line end. False if the file cannot
/// be written, with a message on standard error.
bool write_kernel_trace(const std::string& events);

/// End the file, if one was begun; it does not contain later kernels.
void end_kernel_trace();

/// A message if the option names a file that cannot be written, or "".
std::string why_no_kernel_trace();

}  // namespace ascend_emulator
