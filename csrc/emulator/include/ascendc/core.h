// One emulated AI core, as the headers of kernels see it. libascendc_emulated.so implements it.
//
// A kernel's instructions run in program order, but each belongs to a pipe, and pipes of a device
// run at the same time. So every access to on-chip memory is compared with the ones before it: a
// vector clock per pipe tells which instructions of other pipes the synchronisation in the kernel
// has already waited for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace aicore {

enum class Pipe : std::uint8_t { s, v, m, mte1, mte2, mte3, fix, all };
constexpr int pipe_count = 7;

enum class Space : std::uint8_t { ub, l1, l0a, l0b, l0c, bias, fixpipe };
constexpr int space_count = 7;

/// A place in a kernel's source.
struct Site {
    const char* file;
    std::uint32_t line;

    static constexpr Site here(const char* file = __builtin_FILE(),
                               std::uint32_t line = __builtin_LINE()) {
        return {file, line};
    }
};

/// An instruction: its name, its pipe and its place.
struct Instruction {
    const char* name;
    Pipe pipe;
    Site site;
    bool bypasses_cache = false;       // scalar code that accesses global memory itself
    mutable std::uint32_t number = 0;  // in the timeline of the core; 0: not there yet
};

/// What has ended as far as one pipe knows.
struct Clock {
    std::array<std::uint32_t, pipe_count> ended{};  // for each pipe, how many of its instructions
    std::uint64_t time = 0;                         // when, in the timeline of the core
};

/// On-chip memory that TPipe::InitBuffer assigned to a queue or a TBuf.
struct Buffer {
    enum class State : std::uint8_t { free, allocated, queued, dequeued };
    State state = State::free;
    std::uint32_t address = 0;
    std::uint32_t bytes = 0;
    std::uint32_t generation = 0;  // counts FreeTensor, so that tensors of before are recognised
    Clock queued{};                // what EnQue waits for
    Clock freed{};                 // what the next AllocTensor waits for
    Site site{"", 0};
};

enum class Atomic : std::uint8_t { none, add, max, min };
enum class Element : std::uint8_t { other, f32, f16, bf16, i32, i16, i8 };

/// Ends a kernel whose next step would leave the emulated memory.
struct KernelEnded {};

/// Lanes of the vector unit that take part in an instruction.
struct VectorMask {
    std::array<std::uint64_t, 2> bits{~0ULL, ~0ULL};
    bool counts = false;      // counter mode
    std::uint32_t count = 0;  // elements, in counter mode
};

class Launch;
class CoreTimeline;

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): grouped by meaning, and few exist
class Core {
  public:
    Core();
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    // Identity.
    std::uint32_t block = 0;
    std::uint32_t blocks = 1;
    std::uint32_t sub_block = 0;
    std::uint32_t sub_blocks = 1;  // vector cores of a block
    bool mixed = false;            // cube and vector cores share the block
    std::uint64_t tiling_key = 0;
    void* pipe_object = nullptr;  // the kernel's TPipe

    // Registers.
    VectorMask mask;
    Atomic atomic = Atomic::none;
    float dequantization_scale = 1.0F;
    std::array<std::uint64_t, 2> compare_mask{};
    std::uint64_t kept = 0;                 // elements that the last GatherMask kept
    std::uint64_t reduced = 0;              // the bits of the last ReduceSum
    std::array<std::uint16_t, 4> merged{};  // elements of each list that the last MrgSort took
    std::uint64_t control = 0;              // SetCtrlSpr
    static constexpr std::uint32_t nothing_squeezed = ~0U;
    std::uint32_t squeezed = nothing_squeezed;  // bytes that the last Squeeze of registers kept
    std::uint32_t squeezed_before = 0;          // those that StoreUnAlign stored since ClearSpr
    std::uint64_t padding = 0;                  // SetPadValue
    bool has_padding = false;
    std::uint64_t image_padding = 0;            // SetLoadDataPaddingValue
    std::array<std::uint16_t, 2> image_size{};  // SetFmatrix: height and width
    std::array<std::uint8_t, 4> image_pads{};
    std::uint64_t fixpipe_factor = 0;    // SetFixpipePreQuantFlag
    std::uint32_t fixpipe_factors = 0;   // the address of SetFixPipeConfig's tensor
    std::uint16_t fixpipe_matrices = 1;  // SetFixpipeNz2ndFlag
    std::uint16_t fixpipe_src_stride = 0;
    std::uint16_t fixpipe_dst_stride = 0;
    std::vector<std::uint8_t> sparse_indices;  // LoadDataWithSparse, one for 4 bytes of L0B

    // On-chip memory. An address counts from the begin of UB, which the other spaces follow.
    std::uint8_t* at(std::uint32_t address) { return memory_ + address; }
    std::uint32_t address_of(const void* pointer) const;
    static std::uint32_t base(Space space);
    static std::uint32_t bytes(Space space);
    /// Reserve memory behind what is reserved already; ends the kernel if there is not enough.
    std::uint32_t reserve(Space space, std::uint32_t bytes, const char* what, Site site);
    /// Forget what was reserved (TPipe::Reset and Destroy).
    void release_all();
    std::uint32_t reserved(Space space) const { return reserved_[static_cast<int>(space)]; }
    /// Return where an array that a function declares in UB lies: the same place each time.
    std::uint32_t place_array(const char* name, std::uint32_t bytes, Site site);

    // Order of the pipes.
    Clock snapshot(Pipe pipe) const;
    void wait_for(Pipe pipe, const Clock& clock);
    void set_flag(Pipe source, Pipe destination, int id, Site site);
    void wait_flag(Pipe source, Pipe destination, int id, Site site);
    void barrier(Pipe pipe);
    /// Let each pipe know what all have done, without a wait in the timeline.
    void tell_all_pipes();
    int take_event(Pipe source, Pipe destination, Site site);
    int peek_event(Pipe source, Pipe destination) const;
    void give_event(Pipe source, Pipe destination, int id, Site site);

    /// Check an access to on-chip memory, and remember it. Ends the kernel if it leaves the space.
    void access(const Instruction& instruction, std::uint32_t address, std::uint64_t bytes,
                bool writes, const Buffer* buffer, std::uint32_t generation);
    /// Check an access to global memory and return the host address of its bytes. `values` are
    /// what a cube core writes for a vector core, and otherwise null.
    void* global(const Instruction& instruction, const void* address, std::uint64_t bytes,
                 bool writes, const void* values = nullptr);
    /// DataCacheCleanAndInvalid: of the line at `address`, or of all lines if it is null.
    void clean_cache(const void* address);
    /// Write to global memory as the atomic mode wants.
    void store_global(void* to, const void* values, std::uint64_t bytes, Element element) const;

    // Registers of Ascend 950, see register_types.h. A flaw of a byte is 0 if its value is known.
    void begin_vector_function();
    void end_vector_function();
    /// LocalMemBar: let loads behind it wait for the stores before it.
    void order_vector_function();
    /// Load bytes of UB for a register at `to`, with their flaws.
    void load_register(const Instruction& instruction, const void* from, std::uint32_t count,
                       std::uint32_t alignment, std::uint8_t* values, std::uint16_t* flaws,
                       const void* to);
    /// Store the bytes that are on, from a register at `from`.
    void store_register(const Instruction& instruction, void* to, std::uint32_t count,
                        std::uint32_t alignment, const std::uint8_t* values, const bool* on,
                        const void* from);
    /// Report the use of a byte with a flaw.
    void report_flaw(const Instruction& instruction, std::uint16_t number);

    // The timeline, if there is one. The accesses above are noted in it as well.
    /// Note how often the vector unit repeats an instruction.
    void add_repeats(const Instruction& instruction, std::uint64_t repeats) {
        if (timeline != nullptr && repeats != 0) {
            note_steps(instruction, repeats);
        }
    }
    /// Note that the cube unit multiplies m x k by k x n elements of `bytes` each.
    void add_product(const Instruction& instruction, std::uint64_t m, std::uint64_t n,
                     std::uint64_t k, std::uint64_t bytes) {
        if (timeline != nullptr) {
            note_product(instruction, m, n, k, bytes);
        }
    }
    /// Let the next instruction of a pipe begin when another pipe has ended its own.
    void follow(Pipe pipe, Pipe before);
    /// When a pipe has ended what it was given so far.
    std::uint64_t time(Pipe pipe) const;
    /// Let scalar code wait for another core until `time`.
    void stall(const char* name, Site site, std::uint64_t time);

    // Cores of a launch.
    void sync_all(bool vector_only, Site site);
    void set_cross_core_flag(int mode, Pipe pipe, int id, Site site);
    void wait_cross_core_flag(int id, Site site);
    /// IBSet and IBWait; with a barrier, whose workspace it is, Arrive and Wait of GroupBarrier.
    void set_block_flag(int of_block, int event, Site site, const void* barrier = nullptr);
    void wait_block_flag(int of_block, int event, Site site, const void* barrier = nullptr);

    /// Note what is wrong, and what to write instead if that is known.
    void report(const char* kind, const std::string& what, Site site);
    /// Report if the condition does not hold.
    void require(bool holds, const char* kind, const char* what, Site site) {
        if (!holds) {
            report(kind, what, site);
        }
    }
    /// Hint at what is slow on a device: operands of a vector instruction in the same bank of UB.
    /// `target` and `sources` are addresses, `block_stride` is in blocks of 32 bytes.
    void hint_banks(const Instruction& instruction, std::uint32_t target,
                    std::uint32_t block_stride, const std::uint32_t* sources, int count) const;
    /// Note a queue that is used several times with one buffer of these bytes.
    void note_single_buffer(std::uint32_t bytes, Space space, Site site) {
        single_buffers_.push_back({bytes, space, site});
    }
    /// Hint at such queues when the kernel ends, if second buffers fit.
    void hint_second_buffers();
    bool hints = false;

    /// Report that the kernel cannot go on, and end it.
    [[noreturn]] void end(const char* kind, const std::string& what, Site site);

    void begin(std::uint32_t block_index, std::uint32_t block_count, std::uint32_t sub_block_index,
               std::uint32_t sub_block_count, bool is_mixed, bool is_cube);
    /// What must hold when a kernel ends: no flag is left set.
    void check_end();
    bool is_cube() const { return cube_; }

    Launch* launch = nullptr;
    CoreTimeline* timeline = nullptr;  // or null
    std::uint32_t index = 0;           // among the cores of the launch

    struct Shadow;

  private:
    struct SingleBuffer {
        std::uint32_t bytes;
        Space space;
        Site site;
    };
    /// An array of UB, known by its declaration.
    struct Array {
        std::string name;
        Site site;
        std::uint32_t bytes;
        std::uint32_t address;
    };
    struct Flag {
        bool set = false;
        Clock clock{};
        Site site{"", 0};
    };

    void note_steps(const Instruction& instruction, std::uint64_t steps);
    void note_product(const Instruction& instruction, std::uint64_t m, std::uint64_t n,
                      std::uint64_t k, std::uint64_t bytes);
    Clock known_by(Pipe pipe) const;
    void learn(Pipe pipe, const Clock& clock);
    void check_buffer(const Instruction& instruction, std::uint32_t address, std::uint64_t bytes,
                      const Buffer& buffer, std::uint32_t generation);
    /// An access as the shadow keeps it.
    struct Access {
        std::uint8_t pipe;
        std::uint32_t number;  // of the pipe's instructions
        std::uint32_t site;
        bool writes;
    };
    /// Why the value of a loaded byte is not known.
    struct Flaw {
        enum class Kind : std::uint8_t { unwritten, unordered, no_barrier };
        Kind kind;
        std::uint32_t load;   // the load, as the launch remembers it
        std::uint32_t other;  // the store
    };
    struct RegisterStore {
        const void* from;
        std::uint32_t site;
    };
    std::uint32_t register_operand(const Instruction& instruction, const void* pointer,
                                   std::uint32_t count, std::uint32_t alignment, bool writes);
    void begin_registers();
    std::uint16_t flaw_of(const Flaw& flaw);
    std::uint16_t load_granule(std::uint32_t index, const Access& access, const void* to);
    bool touch(Shadow& shadow, const Instruction& instruction, const Access& access);
    bool is_ordered(Pipe pipe, int before, std::uint32_t number);
    void check_order(Shadow& shadow, const Instruction& instruction, bool writes);
    void hazard(const char* kind, int before, std::uint32_t site, const Instruction& after);

    std::uint8_t* memory_;
    Shadow* shadow_;
    std::uint32_t run_ = 0;  // shadow of another run counts as never accessed
    std::array<std::uint32_t, space_count> reserved_{};
    std::array<std::uint32_t, space_count> most_reserved_{};
    std::vector<SingleBuffer> single_buffers_;
    std::vector<Array> arrays_;
    Clock issued_{};
    std::array<Clock, pipe_count> known_{};
    std::array<std::array<std::array<Flag, 8>, pipe_count>, pipe_count> flags_{};
    std::array<std::array<std::uint8_t, pipe_count>, pipe_count> events_{};
    bool cube_ = false;
    std::vector<Flaw> flaws_;
    std::uint32_t vector_functions_ = 0;  // that have begun and not ended
    std::unordered_map<std::uint32_t, RegisterStore> unordered_stores_;  // by the granule
};

/// The core that the calling kernel runs on.
extern thread_local Core* core;

/// Return the memory of an array that a function declares in UB. Ends a program that declares it
/// outside of a function, where no core runs.
std::uint8_t* ub_array(const char* name, std::uint32_t bytes, Site site);

/// Print a kernel's text, each line with its block.
void print(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace aicore
