// A minimal test framework, for the tests of the kernels and of the emulator:
//   TEST(name) { CHECK(condition); }   registers a test
//   CHECK(condition)                   ends the process with status 1 if the condition is false
//   CHECK_MESSAGE(condition, "format", values...)   likewise, and prints the values
#pragma once

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace native_test {

struct Test {
    const char* name;
    void (*run)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> registered;
    return registered;
}

struct Registration {
    Registration(const char* name, void (*run)()) { tests().push_back({name, run}); }
};

/// Runs the test called `name` or, if no test has that name, every test whose name contains it; an
/// empty name runs them all. Prints "passed" if at least one ran.
inline void run_all(const char* name) {
    std::vector<Test> chosen;
    for (const Test& test : tests()) {
        if (std::strcmp(test.name, name) == 0) {
            chosen = {test};
            break;
        }
        if (std::strstr(test.name, name) != nullptr) {
            chosen.push_back(test);
        }
    }
    for (const Test& test : chosen) {
        std::printf("%s\n", test.name);
        std::fflush(stdout);  // a test that crashes has printed its name
        test.run();
    }
    std::puts(chosen.empty() ? "no test has that name" : "passed");
}

[[noreturn]] inline void fail(const char* file, int line, const char* condition) {
    std::printf("%s:%d: CHECK(%s) failed\n", file, line, condition);
    std::exit(1);
}

[[noreturn, gnu::format(printf, 4, 5)]] inline void fail(const char* file, int line,
                                                         const char* condition, const char* format,
                                                         ...) {
    std::printf("%s:%d: CHECK(%s) failed: ", file, line, condition);
    std::va_list values;
    va_start(values, format);
    std::vprintf(format, values);
    va_end(values);
    std::puts("");
    std::exit(1);
}

}  // namespace native_test

#define TEST(name)                                                        \
    static void name();                                                   \
    static const native_test::Registration register_##name(#name, &name); \
    static void name()

#define CHECK(condition)                                       \
    do {                                                       \
        if (!(condition)) {                                    \
            native_test::fail(__FILE__, __LINE__, #condition); \
        }                                                      \
    } while (false)

// Values are evaluated only after the condition has failed.
#define CHECK_MESSAGE(condition, ...)                                       \
    do {                                                                    \
        if (!(condition)) {                                                 \
            native_test::fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
        }                                                                   \
    } while (false)
