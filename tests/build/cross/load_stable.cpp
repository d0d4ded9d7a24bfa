// Loads an op on torch's stable ABI and prints what it registers. The part of torch that a load
// calls is here; torch_functions.inc defines the rest, and nothing calls it.

#include <dlfcn.h>
#include <cstdint>
#include <cstdio>

static int handle;

extern "C" {

int aoti_torch_library_init_def(const char* name, const char*, std::uint32_t, void** library) {
    std::printf("namespace %s\n", name);
    *library = &handle;
    return 0;
}

int aoti_torch_library_init_impl(const char*, const char* key, const char*, std::uint32_t,
                                 void** library) {
    std::printf("implementations for %s\n", key);
    *library = &handle;
    return 0;
}

int aoti_torch_library_def(void*, const char* schema) {
    std::printf("function %s\n", schema);
    return 0;
}

int torch_library_impl(void*, const char* name, void*, std::uint64_t) {
    std::printf("implementation of %s\n", name);
    return 0;
}

#define NEVER_CALLED(name) \
    void name() {}
#include "torch_functions.inc"
}

#ifndef TORCH
int main(int, char** arguments) {
    if (dlopen(arguments[1], RTLD_NOW) == nullptr) {
        std::puts(dlerror());
        return 1;
    }
}
#endif
