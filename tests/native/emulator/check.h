// A minimal test runner: each case is run by its name, in a process of its own.
#pragma once

#include <acl/acl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

using Case = void (*)();

inline std::map<std::string, Case>& cases() {
    static std::map<std::string, Case> all;
    return all;
}

#define TEST(NAME)                                                                         \
    static void NAME();                                                                    \
    [[maybe_unused]] static const bool NAME##_added = cases().emplace(#NAME, NAME).second; \
    static void NAME()

#define CHECK(CONDITION)                                                              \
    do {                                                                              \
        if (!(CONDITION)) {                                                           \
            std::printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #CONDITION); \
            std::exit(1);                                                             \
        }                                                                             \
    } while (false)

#define CHECK_EQUAL(FOUND, WANTED)                                                           \
    do {                                                                                     \
        const long long found_value = (FOUND);                                               \
        const long long wanted_value = (WANTED);                                             \
        if (found_value != wanted_value) {                                                   \
            const char* why = aclGetRecentErrMsg();                                          \
            std::printf("%s:%d: %s is %lld, wanted %lld (%s)\n", __FILE__, __LINE__, #FOUND, \
                        found_value, wanted_value, why == nullptr ? "no message" : why);     \
            std::exit(1);                                                                    \
        }                                                                                    \
    } while (false)

/// The call is refused with the code, and the message has the text in it.
#define CHECK_REFUSED(CALL, CODE, TEXT)                                                            \
    do {                                                                                           \
        CHECK_EQUAL(CALL, CODE);                                                                   \
        const char* message = aclGetRecentErrMsg();                                                \
        if (message == nullptr || std::strstr(message, TEXT) == nullptr) {                         \
            std::printf("%s:%d: the message is \"%s\", wanted \"%s\" in it\n", __FILE__, __LINE__, \
                        message == nullptr ? "" : message, TEXT);                                  \
            std::exit(1);                                                                          \
        }                                                                                          \
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
