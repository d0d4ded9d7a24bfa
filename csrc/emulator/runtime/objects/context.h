// Contexts: what a thread works in. Each device has a primary one, and a program can create others,
// each with a default stream of its own.
#pragma once

#include "emulator/interface/handle.h"

namespace ascend_emulator {

class Stream;

/// What an aclrtContext points to.
struct Context {
    static constexpr auto handle_kind = HandleKind::context;

    const int device;
    Stream* default_stream = nullptr;  // guarded by the device's mutex
};

/// The device of this thread, or -1 if none was set.
int current_device_or_none();

/// The device of this thread, which becomes CANN's default, 0, if none was set.
int current_device();

/// Make the device's primary context this thread's; -1 leaves the thread without one.
void set_current_device(int device);

/// The primary context of a device that exists.
Context* primary_context(int device);

/// Create a context of a device that exists, and make it this thread's.
Context* create_context(int device);

/// Destroy a context after waiting for its default stream. 0, or a code if it is not a live one or
/// a primary one. A thread that it was current in has no context afterwards.
int destroy_context(void* handle);

/// This thread's context. Null if it has none or if another thread destroyed it.
Context* current_context_or_none();

/// Make the context of a handle this thread's. 0 or a code.
int set_current_context(void* handle);

/// The default stream of this thread's context, or of device 0's if it has none. Null, with an
/// error noted, if the context was destroyed.
Stream* current_default_stream();

}  // namespace ascend_emulator
