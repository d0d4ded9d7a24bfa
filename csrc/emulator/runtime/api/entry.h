// What every exported function does first, and how it ends: no exception leaves the C API.
#pragma once

namespace ascend_emulator {

/// 0, or the code to return at once: aclFinalize was called, this is a forked child of a process
/// that used the NPU, or ASCEND_EMULATOR_FAULT makes this call fail.
int enter(const char* function);

/// Do what aclInit does, as CANN from version 9 on; 0 or the code to return.
int initialise_implicitly();

/// 0, or the code of a null pointer, with an error noted that names the argument.
int check_pointer(const char* function, const void* pointer, const char* argument);

/// Called in a catch block: note the exception as the function's error and return its code.
int caught(const char* function);

}  // namespace ascend_emulator

#define ACL_ENTER()                                                   \
    do {                                                              \
        if (const int refused = ::ascend_emulator::enter(__func__)) { \
            return refused;                                           \
        }                                                             \
    } while (false)

/// Return unless the pointer can be written or read.
#define ACL_REQUIRE(POINTER)                                              \
    do {                                                                  \
        if (const int refused = ::ascend_emulator::check_pointer(         \
                __func__, static_cast<const void*>(POINTER), #POINTER)) { \
            return refused;                                               \
        }                                                                 \
    } while (false)

/// Ends the function-try-block of an exported function.
#define ACL_CATCH                                   \
    catch (...) {                                   \
        return ::ascend_emulator::caught(__func__); \
    }
