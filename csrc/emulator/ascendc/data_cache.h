// What the cores' data caches hold of global memory.
//
// Scalar code reads and writes global memory through the cache of its core, in lines of 64 bytes.
// A device keeps neither two caches nor a cache and global memory equal: what SetValue wrote stays
// in the cache, and GetValue finds what the cache took before, until DataCacheCleanAndInvalid.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace aicore {

constexpr std::uintptr_t cache_line_bytes = 64;

/// An access to global memory, as the caches see it.
struct CachedAccess {
    std::uintptr_t begin;
    std::uintptr_t end;
    std::uint32_t core;
    std::uint32_t tick;         // how often the core had told others how far it is
    std::uint32_t instruction;  // of the launch
    bool writes;
    bool cached;  // by scalar code that does not bypass the cache
};

/// What the access meets in a cache that nothing has made equal to global memory.
struct CacheFinding {
    enum class Kind : std::uint8_t {
        unwritten,     // it reads bytes that are in a cache only
        cleaned_late,  // the same, but the cache was cleaned after the cores had synchronized
        written_over,  // it writes to a line that the cache will write as a whole
        stale          // it reads from the cache what has been written since
    };
    Kind kind;
    std::uint32_t other;  // the instruction that it meets
    std::uint32_t core;   // whose
};

/// Whether a core has waited for what another one did at a tick.
using Knows = std::function<bool(std::uint32_t core, std::uint32_t other, std::uint32_t tick)>;

class DataCaches {
  public:
    /// Note an access, and return what it meets. Accesses that nothing orders are not among it.
    std::vector<CacheFinding> touch(const CachedAccess& access, const Knows& knows);
    /// DataCacheCleanAndInvalid of the line at `address`.
    void clean(std::uint32_t core, std::uintptr_t address, std::uint32_t tick);
    /// DataCacheCleanAndInvalid of all lines of a core.
    void clean_all(std::uint32_t core, std::uint32_t tick);

  private:
    /// A line in the cache of one core. Bit n of a mask stands for byte n.
    struct Copy {
        std::uint32_t core = 0;
        bool held = false;          // the line is in the cache
        std::uint64_t written = 0;  // by SetValue
        std::uint32_t writer = 0;   // the last instruction that wrote it
        std::uint32_t tick = 0;     // when it did
        bool cleaned = false;       // the line has been written back since
        std::uint32_t clean_tick = 0;
        std::uint64_t stale = 0;  // bytes that others have written since the line was taken
        std::uint32_t changed_by = 0;
        std::uint32_t changed_core = 0;
        std::uint32_t changed_tick = 0;
    };
    using Line = std::vector<Copy>;

    static Copy& copy_of(Line& line, std::uint32_t core);
    static void touch_own(Copy& copy, const CachedAccess& access, std::uint64_t bytes,
                          const Knows& knows, std::vector<CacheFinding>& findings);
    static void meet(Copy& copy, const CachedAccess& access, std::uint64_t bytes,
                     const Knows& knows, std::vector<CacheFinding>& findings);

    std::map<std::uintptr_t, Line> lines_;  // by the address of the first byte
};

}  // namespace aicore
