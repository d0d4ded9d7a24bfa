// What libhccl.so offers to operators that communicate. libopapi looks it up by name at run time,
// as it does libascendcl's services.
#pragma once

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ascend_emulator {

struct Block {
    char* bytes = nullptr;
    std::size_t size = 0;
};
/// What is sent to, or received from, each rank.
using Blocks = std::vector<Block>;

class Collectives {
  public:
    struct Group {
        std::uint32_t size = 0;  // 0: this process has no such group
        std::uint32_t rank = 0;
    };
    virtual ~Collectives() = default;
    /// The communicator that HcclGetCommName calls `name`.
    virtual Group find(const std::string& name) = 0;
    /// Send outgoing[k] to every rank k, and receive incoming[k] from it. Called on a worker; waits
    /// for the other ranks. Returns 0, or a code, with an error noted.
    virtual int exchange(const std::string& name, const Blocks& outgoing,
                         const Blocks& incoming) = 0;
};

/// Null if the program has not loaded libhccl.
inline Collectives* collectives() {
    void* library = dlopen("libhccl.so", RTLD_LAZY | RTLD_NOLOAD);
    using Getter = Collectives* (*)();
    void* symbol = library == nullptr ? nullptr : dlsym(library, "ascend_emulator_collectives");
    return symbol == nullptr ? nullptr : reinterpret_cast<Getter>(symbol)();
}

}  // namespace ascend_emulator
