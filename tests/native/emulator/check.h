// Checks of AscendCL calls, on the test framework of native_test.h. test_native.py runs each test
// in a process of its own.
#pragma once

#include <acl/acl.h>

#include <cstring>

#include "../native_test.h"

// A failure prints what AscendCL reports about the call.
#define CHECK_EQUAL(FOUND, WANTED)                                                         \
    do {                                                                                   \
        const long long found_value = (FOUND);                                             \
        const long long wanted_value = (WANTED);                                           \
        const char* why = found_value == wanted_value ? nullptr : aclGetRecentErrMsg();    \
        CHECK_MESSAGE(found_value == wanted_value, "%s is %lld, wanted %lld (%s)", #FOUND, \
                      found_value, wanted_value, why == nullptr ? "no message" : why);     \
    } while (false)

// The call must return the code, and the message must contain the text.
#define CHECK_REFUSED(CALL, CODE, TEXT)                                            \
    do {                                                                           \
        CHECK_EQUAL(CALL, CODE);                                                   \
        const char* message = aclGetRecentErrMsg();                                \
        CHECK_MESSAGE(message != nullptr && std::strstr(message, TEXT) != nullptr, \
                      "the message is \"%s\", wanted \"%s\" in it",                \
                      message == nullptr ? "" : message, TEXT);                    \
    } while (false)

inline void begin() {
    CHECK_EQUAL(aclInit(nullptr), 0);
    CHECK_EQUAL(aclrtSetDevice(0), 0);
}

template <class T = void>
T* device_memory(std::size_t bytes) {
    void* address = nullptr;
    CHECK_EQUAL(aclrtMalloc(&address, bytes, ACL_MEM_MALLOC_HUGE_FIRST), 0);
    return static_cast<T*>(address);
}

inline aclrtStream new_stream() {
    aclrtStream stream = nullptr;
    CHECK_EQUAL(aclrtCreateStream(&stream), 0);
    return stream;
}

inline aclrtEvent new_event() {
    aclrtEvent event = nullptr;
    CHECK_EQUAL(aclrtCreateEvent(&event), 0);
    return event;
}
