// Every function that the emulator's libraries export, called with arguments that no function
// takes.
#include "check.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "child.h"

namespace {

char host[4096];

struct Symbol {
    std::string name;
    void* address;
};

/// The functions that a loaded library of the emulator exports.
std::vector<Symbol> functions_of(const char* library) {
    void* handle = dlopen(library, RTLD_NOLOAD | RTLD_NOW);
    CHECK_MESSAGE(handle != nullptr, "%s is not loaded", library);
    link_map* map = nullptr;
    CHECK(dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0);
    const ElfW(Sym)* symbols = nullptr;
    const char* names = nullptr;
    for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
        if (entry->d_tag == DT_SYMTAB) {
            symbols = reinterpret_cast<const ElfW(Sym)*>(entry->d_un.d_ptr);
        } else if (entry->d_tag == DT_STRTAB) {
            names = reinterpret_cast<const char*>(entry->d_un.d_ptr);
        }
    }
    std::vector<Symbol> found;
    // GNU ld puts the names behind the symbols.
    for (const auto* symbol = symbols; reinterpret_cast<const char*>(symbol) < names; ++symbol) {
        const int type = ELF64_ST_TYPE(symbol->st_info);
        if (symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC)) {
            const char* name = names + symbol->st_name;
            found.push_back({name, dlsym(handle, name)});
        }
    }
    return found;
}

// More arguments than any function has: it must not read what lies behind them.
using Anything = long (*)(long, long, long, long, long, long, long, long, long, long, long, long,
                          long, long, long, long, long, long, long, long, long, long, long, long,
                          long, long, long, long, long, long, long, long, long, long, long, long,
                          long, long, long, long, long, long, long, long, long, long, long, long);

/// Call every function with `argument` for each of its arguments. A child calls them in turn; if it
/// dies, the next one goes on behind the function that ended it.
void call_all(const std::vector<Symbol>& functions, long argument) {
    auto* next = static_cast<std::size_t*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int deaths = 0;
    while (*next < functions.size()) {
        const int end = in_child([&] {
            begin();
            while (*next < functions.size()) {
                const long a = argument;
                const auto function = reinterpret_cast<Anything>(functions[(*next)++].address);
                function(a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a,
                         a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a);
            }
        });
        if (end != 0) {
            ++deaths;
            std::printf("%s ended its process with %d\n", functions[*next - 1].name.c_str(), end);
        }
    }
    CHECK_MESSAGE(deaths == 0, "%d of %zu functions did", deaths, functions.size());
}

/// All exported functions but `without` and the emulator's own, of which aclFinalize comes last.
std::vector<Symbol> exported(const std::vector<std::string>& without) {
    std::vector<Symbol> all;
    for (const char* library :
         {"libascendcl.so", "libopapi.so", "libhccl.so", "libacl_op_compiler.so"}) {
        for (const Symbol& symbol : functions_of(library)) {
            bool wanted = symbol.name.find("ascend_emulator") == std::string::npos;
            for (const std::string& name : without) {
                wanted = wanted && symbol.name != name;
            }
            if (wanted && symbol.name[0] != '_') {
                all.push_back(symbol);
            }
        }
    }
    std::stable_partition(all.begin(), all.end(), [](const Symbol& symbol) {
        return symbol.name.rfind("aclFinalize", 0) != 0;
    });
    return all;
}

}  // namespace

TEST(every_function_lives_when_it_is_called_with_nulls) {
    const std::vector<Symbol> functions = exported({});
    CHECK_MESSAGE(functions.size() > 1000, "only %zu functions", functions.size());
    call_all(functions, 0);
}

TEST(every_function_lives_when_it_is_called_with_memory_that_is_not_a_handle) {
    // Host memory is a valid operand of copies, the log prints it, and as a timeout it takes long.
    call_all(exported({"aclrtMemcpy", "aclrtMemset", "aclAppLog", "aclrtProcessReport",
                       "aclrtProcessHostFunc"}),
             reinterpret_cast<long>(host));
}
