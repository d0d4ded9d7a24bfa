// The least of a test framework: TEST(name) { CHECK(...); }, and a main that runs them all.
#pragma once

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

/// Runs the tests whose name contains `filter`; a failed CHECK ends the process with status 1.
inline int run_all(const char* filter) {
    for (const Test& test : tests()) {
        if (std::strstr(test.name, filter) != nullptr) {
            std::printf("%s\n", test.name);
            std::fflush(stdout);
            test.run();
        }
    }
    return 0;
}

}  // namespace native_test

#define TEST(name)                                                        \
    static void name();                                                   \
    static const native_test::Registration register_##name(#name, &name); \
    static void name()

/// CHECK(condition, "format", values...): the text says what was found.
#define CHECK(condition, ...)                                                         \
    do {                                                                              \
        if (!(condition)) {                                                           \
            std::printf("%s:%d: CHECK(%s) failed: ", __FILE__, __LINE__, #condition); \
            std::printf(__VA_ARGS__);                                                 \
            std::printf("\n");                                                        \
            std::exit(1);                                                             \
        }                                                                             \
    } while (false)
