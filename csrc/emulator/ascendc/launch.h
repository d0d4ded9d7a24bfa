// One launch of a kernel: its cores, the accesses to global memory, and the findings.
#pragma once

#include <ucontext.h>

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ascendc/core.h"
#include "ascendc/kernel_launch.h"
#include "emulator/ascendc/data_cache.h"
#include "emulator/ascendc/kernel_trace.h"
#include "emulator/ascendc/time_limit.h"

namespace aicore {

/// How far each core of the launch has come, as one core knows.
using CoreClock = std::vector<std::uint32_t>;

/// Bytes of global memory that one core accessed.
struct Span {
    std::uintptr_t begin;
    std::uintptr_t end;
    std::uint32_t core;
    std::uint32_t tick;   // how often the core had told others how far it is
    std::uint32_t known;  // index of what it knew of the others
    std::uint32_t instruction;
    bool writes;
    bool atomic;
    bool cached;           // by scalar code, through the data cache of the core
    bool unchanged;        // a cube core wrote, for a vector core, what was already there
    std::uint32_t number;  // in the order in which they began
};

/// What a core tells others, and when, in the timeline.
struct Told {
    CoreClock clock;
    std::uint64_t time = 0;
};

/// A flag of IBSet or GroupBarrier.
struct BlockFlag {
    using Key = std::tuple<const void*, int, int>;  // the barrier or null, the block, the event
    bool set = false;
    Told told;
    std::uint64_t taken = 0;  // when the last wait took it, in the timeline
};

/// A range of live global memory, by host addresses.
struct LiveRange {
    std::uintptr_t begin;
    std::uintptr_t end;
};

/// A fiber that runs the kernel for one core. It gives way only where the kernel waits for others.
struct Fiber {
    enum class State : std::uint8_t { ready, in_sync_all, waits_for_flag, waits_for_block, ended };
    State state = State::ready;
    bool sync_vector_only = false;
    int flag = 0;
    const char* waits_in = "";  // a wait for a block
    Site site{"", 0};           // where it waits
    ucontext_t context{};
    std::unique_ptr<char[]> stack;
    std::unique_ptr<Core> core;

    CoreClock clock;                          // what the core knows
    std::vector<CoreClock> known;             // the same, after each wait
    std::array<std::deque<Told>, 16> inbox;   // flags that were set for it
    std::array<std::deque<Told>, 16> outbox;  // flags that wait for the others' to be set
};

/// A place in a source, as messages show it.
std::string place(Site site);

class Launch {
  public:
    Launch(const KernelLaunch& kernel, void* stream);
    ~Launch();

    /// Run all cores. Returns what was wrong, or "".
    std::string run();
    /// Whether the kernel was ended since it ran too long.
    bool is_out_of_time() const { return out_of_time_; }
    /// Called at each access: ends the kernel if it runs too long.
    void check_time(const Core& core, const Instruction& instruction) {
        if (time_limit_.is_over()) {
            end_out_of_time(core, instruction);
        }
    }

    std::uint32_t remember(const Instruction& instruction);
    const Instruction& instruction(std::uint32_t id) const { return instructions_[id]; }
    void* global(Core& core, const Instruction& instruction, const void* address,
                 std::uint64_t bytes, bool writes, const void* values);
    void clean_cache(const Core& core, const void* address);
    void report(const Core& core, const char* kind, const std::string& what, Site site);
    /// Whether this process has not hinted at this place of the kernel yet.
    bool is_first_hint(const char* kind, Site site);
    void hint(const char* kind, const std::string& what, Site site) const;
    void sync_all(Core& core, bool vector_only, Site site);
    void set_flag(Core& core, int mode, Pipe pipe, int id, Site site);
    void wait_flag(Core& core, int id, Site site);
    void set_block_flag(Core& core, const BlockFlag::Key& key, Site site);
    void wait_block_flag(Core& core, const BlockFlag::Key& key, Site site);

    const bool auto_sync;
    const bool checks;

  private:
    static void enter_fiber();
    [[noreturn]] void end_out_of_time(const Core& core, const Instruction& instruction);
    void make_cores();
    Runner runner_of(const Core& of) const;
    bool run_ready();
    bool release_sync();
    void report_deadlock();
    void add_span(const Span& span);
    void check_spans();
    void check_lines();
    void check_line(const Span& first, const Span& second);
    bool are_ordered(const Span& first, const Span& second) const;
    bool wrote_the_same(const Span& first, const Span& second) const;
    void check_caches(const Core& core, const Span& span);
    void give_way(Fiber& fiber);
    void wait_in_block(Fiber& fiber, const BlockFlag::Key& key, Site site);
    void wake_blocks();
    void deliver(int id, const std::vector<Fiber*>& from, const std::vector<Fiber*>& to, Site site);
    std::vector<Fiber*> cores_of_block(std::uint32_t block, bool cube);
    std::vector<Fiber*> cores_of_kind(bool cube);
    const LiveRange* find_live(const void* host);
    void hint_alignment(const Instruction& instruction, const void* address, std::uint64_t bytes,
                        bool writes);
    std::string describe(const Fiber& fiber) const;

    const KernelLaunch& kernel_;
    const std::unique_ptr<KernelTrace> trace_;  // or null
    void* const stream_;
    TimeLimit time_limit_;
    bool out_of_time_ = false;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    ucontext_t scheduler_{};
    Fiber* running_ = nullptr;
    bool ran_ = false;  // whether a core could go on in this round
    std::map<BlockFlag::Key, BlockFlag> block_flags_;
    std::vector<LiveRange> live_;
    DataCaches caches_;
    std::vector<Span> spans_;
    static constexpr std::uint32_t none = ~0U;
    std::vector<std::uint32_t> last_spans_;  // by instruction; `none` if it has no span
    std::deque<Instruction> instructions_;
    std::unordered_map<std::uint64_t, std::uint32_t> instruction_ids_;
    std::vector<std::string> findings_;  // in the order in which they were found
    std::set<std::string> known_findings_;
    std::set<std::tuple<const void*, const void*, std::uint32_t>> hinted_;  // loops come here often
};

}  // namespace aicore
