// Loads the library of the example op crc32c and calls it.

#include <dlfcn.h>
#include <cstddef>
#include <cstdint>
#include <cstdio>

int main(int, char** arguments) {
    void* library = dlopen(arguments[1], RTLD_NOW);
    if (library == nullptr) {
        std::puts(dlerror());
        return 1;
    }
    using Function = std::uint32_t (*)(const char*, std::size_t, std::uint32_t);
    auto* function = reinterpret_cast<Function>(dlsym(library, "crc32c"));
    std::printf("%x\n", function("123456789", 9, 0));
}
