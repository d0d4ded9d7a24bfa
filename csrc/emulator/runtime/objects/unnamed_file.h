// Unnamed files, which take memory only for what is written, and which another process opens
// through /proc. Nothing is left behind, however a process ends.
#pragma once

#include <cstddef>

namespace ascend_emulator {

/// Create a file of zeros; `name` appears in /proc. Returns its descriptor, or -1.
int create_unnamed_file(const char* name, std::size_t bytes);

/// Open another process's file. Returns a descriptor, or -1 if that process has no file of this
/// name under its `descriptor`, or belongs to another user.
int open_unnamed_file(int process, int descriptor, const char* name);

}  // namespace ascend_emulator
