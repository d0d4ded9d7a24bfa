// The table of costs. Each row names its source:
// P  platform_config/<SoC>.ini of CANN 8.1.RC1: cube_freq and the rates of AICoreMemoryRates.
// L  tests/perf/load_data_perf/README_en.md of cann/asc-devkit: bytes per cycle and latencies of
//    the moves from L1.
// F  tests/perf/fixpipe_perf/README_en.md there: 64 elements per cycle after 20 cycles.
// M  tests/perf/mmad_perf/README_en.md there: 16 x 16 x 32 bytes per cycle, fp32 half of that, and
//    no overhead.
// A  add_high_performance/README.md of its examples, which has times of an Ascend910B at 1.85 GHz:
//    128 half per cycle in the vector unit. What its times leave beside the rates is the start of
//    a move of 8192 bytes (350 cycles on MTE2 and 295 on MTE3, with 256 at 32 bytes per cycle) and
//    of an Add of 127 repeats without bank conflicts (150 cycles). Scalar code takes 34 cycles for
//    an element with two GetValue and a SetValue in UB, and 26 for a loop iteration with four
//    instructions.
// ?  assumed: nothing public is known.
#include "emulator/ascendc/costs.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "emulator/ascendc/soc.h"

namespace aicore {
namespace {

constexpr int any = -1;
constexpr int ub = static_cast<int>(Space::ub);
constexpr int l1 = static_cast<int>(Space::l1);
constexpr int l0a = static_cast<int>(Space::l0a);
constexpr int l0b = static_cast<int>(Space::l0b);
constexpr int l0c = static_cast<int>(Space::l0c);
constexpr int bt = static_cast<int>(Space::bias);
constexpr int fb = static_cast<int>(Space::fixpipe);
constexpr int gm = global_place;

/// A move: cycles until the first byte, and bytes per cycle that leave and arrive. 0: no limit.
struct Move {
    const char* name;  // of the only instruction that it holds for, or null
    int from;
    int to;
    std::uint32_t start;
    std::uint32_t read_rate;
    std::uint32_t write_rate;
    const char* source;
};

// The first row that fits counts.
constexpr Move moves_2201[] = {
    {"Fill", any, any, 28, 0, 256, "?"},         {"LoadData (3D)", l1, l0a, 50, 0, 256, "L"},
    {"LoadData (3D)", l1, l0b, 50, 0, 128, "L"}, {nullptr, l1, l0a, 28, 0, 256, "L"},
    {nullptr, l1, l0b, 28, 0, 128, "L"},         {nullptr, l1, bt, 20, 0, 32, "L"},
    {nullptr, l1, fb, 20, 0, 32, "L"},           {nullptr, l0c, l1, 20, 256, 0, "F"},
    {nullptr, l0c, gm, 20, 256, 32, "F, P"},     {nullptr, gm, any, 95, 0, 32, "A, P"},
    {nullptr, any, gm, 39, 0, 32, "A, P"},       {nullptr, ub, l1, 39, 0, 128, "?, P"},
    {nullptr, l1, ub, 28, 0, 128, "?, P"},       {nullptr, any, any, 28, 0, 128, "?"},
};
constexpr Move moves_2002[] = {
    {"Fill", any, any, 28, 0, 256, "?"},    {nullptr, l1, l0a, 28, 0, 512, "?, P"},
    {nullptr, l1, l0b, 28, 0, 256, "?, P"}, {nullptr, l0c, ub, 20, 512, 0, "?, P"},
    {nullptr, gm, any, 95, 0, 17, "?, P"},  {nullptr, any, gm, 39, 0, 17, "?, P"},
    {nullptr, ub, l1, 39, 0, 256, "?, P"},  {nullptr, l1, ub, 28, 0, 128, "?, P"},
    {nullptr, any, any, 28, 0, 128, "?"},
};
constexpr Move moves_3002[] = {
    {"Fill", any, any, 28, 0, 256, "?"},     {nullptr, l1, l0a, 28, 0, 512, "?, P"},
    {nullptr, l1, l0b, 28, 0, 256, "?, P"},  {nullptr, l0c, gm, 20, 128, 17, "?, P"},
    {nullptr, l0c, any, 20, 128, 0, "?, P"}, {nullptr, gm, any, 95, 0, 17, "?, P"},
    {nullptr, any, gm, 39, 0, 17, "?, P"},   {nullptr, ub, l1, 39, 0, 128, "?, P"},
    {nullptr, l1, ub, 28, 0, 128, "?, P"},   {nullptr, any, any, 28, 0, 128, "?"},
};

struct Table {
    std::uint32_t arch;
    const Move* moves;
    std::size_t count;
};
constexpr Table tables[] = {
    {2201, moves_2201, std::size(moves_2201)},
    {3510, moves_2201, std::size(moves_2201)},  // ?: the costs of Ascend 950 are not known
    {2002, moves_2002, std::size(moves_2002)},
    {3002, moves_3002, std::size(moves_3002)},
};

/// MHz by the begin of the SoC's name; the first row that fits counts. P.
struct Frequency {
    const char* prefix;
    std::uint32_t mhz;
};
constexpr Frequency frequencies[] = {
    {"Ascend910B1", 1850},  {"Ascend910B4", 1500}, {"Ascend910B", 1800}, {"Ascend910_936", 1500},
    {"Ascend910_93", 1850}, {"Ascend310P", 1060},  {"Ascend310B", 1224}, {"", 1800},
};

constexpr std::uint64_t repeat_bytes = 256;  // of the vector unit in one cycle: A
constexpr std::uint64_t vector_start = 22;   // A
constexpr std::uint64_t scalar_local = 11;   // GetValue and SetValue in UB: A, a third of 34
constexpr std::uint64_t scalar_global = 95;  // with a new cache line: ?, as a move's start
constexpr std::uint64_t issue = 6;           // A, a quarter of 26
constexpr std::uint64_t sync_all = 500;      // ?

/// Functions that a device computes with several instructions, each over all elements: ?
struct Passes {
    std::uint32_t passes;
    const char* names;  // each between spaces
};
constexpr Passes library_functions[] = {
    {2,
     " Ceil Floor Trunc Round Frac Rint Sum Mean BroadCast Clamp Xor BitwiseAnd BitwiseOr "
     "BitwiseXor BitwiseNot LogicalAnd LogicalOr LogicalXor LogicalNot ReGlu DropOut Pad UnPad "
     "ReduceSum ReduceMax ReduceMin ReduceProd ReduceMean ReduceAny ReduceAll AscendQuant "
     "AscendDequant AscendAntiQuant "},
    {4,
     " Sign Log Log2 Log10 Sigmoid Silu Swish SwiGLU FasterGelu Hypot IsFinite IsInf IsNan Fmod "
     "CumSum "},
    {8,
     " Tanh Sinh Cosh Asinh Acosh Atanh Erf Erfc Gelu GeGLU Power SoftMax SimpleSoftMax "
     "SoftmaxGrad LayerNorm RmsNorm WelfordUpdate WelfordFinalize "},
    {16, " Sin Cos Tan Asin Acos Atan Lgamma SoftmaxFlashV2 LayerNormGrad TopK "},
};

const Table& moves_of_soc() {
    static const Table& found =
        *std::find_if(std::begin(tables), std::end(tables) - 1,
                      [](const Table& one) { return one.arch == soc().arch; });
    return found;
}

std::uint64_t rounded_up(std::uint64_t value, std::uint64_t unit) {
    return (value + unit - 1) / unit;
}

/// The place with the most bytes, or `usual` without any.
int place_of(const std::array<std::uint64_t, place_count>& bytes, int usual) {
    const auto most = std::max_element(bytes.begin(), bytes.end());
    return *most == 0 ? usual : static_cast<int>(most - bytes.begin());
}

const Move& move_of(const Work& work, int from, int to) {
    const auto fits = [&](const Move& move) {
        return (move.name == nullptr || std::strcmp(move.name, work.name) == 0) &&
               (move.from == any || move.from == from) && (move.to == any || move.to == to);
    };
    const Table& table = moves_of_soc();
    return *std::find_if(table.moves, table.moves + table.count - 1, fits);
}

std::uint64_t move_cycles(const Work& work) {
    const bool stores = work.pipe == Pipe::mte3 || work.pipe == Pipe::fix;
    const bool loads = work.pipe == Pipe::mte2;
    // What a Matmul object accesses on its own side of a move is not known.
    const int from = place_of(work.read, loads ? gm : stores ? l0c : l1);
    const int to = place_of(work.written, stores ? gm : l1);
    const Move& move = move_of(work, from, to);
    const std::uint64_t read = work.read[from] + (from == gm ? work.padding : 0);
    const std::uint64_t written = work.written[to] + (to == gm ? work.padding : 0);
    std::uint64_t cycles = 0;
    if (move.read_rate != 0) {
        cycles = rounded_up(read, move.read_rate);
    }
    if (move.write_rate != 0) {
        // DataCopyPad fills what it writes to UB, and a Matmul object's load arrives nowhere.
        const bool counts_read = from == gm || written == 0;
        const std::uint64_t moved = counts_read ? std::max(read, written) : written;
        cycles = std::max(cycles, rounded_up(moved, move.write_rate));
    }
    return move.start + cycles;
}

std::uint64_t vector_cycles(const Work& work) {
    std::uint64_t repeats = work.steps;
    if (repeats == 0) {
        // Up to four accesses are one for each operand; more are parts of the operands.
        const std::uint64_t bytes =
            work.accesses <= 4 ? work.largest : std::max(work.written[ub], (work.read[ub] + 1) / 2);
        repeats = rounded_up(bytes, repeat_bytes);
    }
    return vector_start + repeats * passes_of(work.name);
}

std::uint64_t scalar_cycles(const Work& work) {
    const bool global = work.read[gm] + work.written[gm] != 0;
    return global && !work.reuses_cache_line ? scalar_global : scalar_local;
}

}  // namespace

std::uint64_t cycles_of(const Work& work) {
    switch (work.pipe) {
        case Pipe::s:
            return scalar_cycles(work);
        case Pipe::v:
            return vector_cycles(work);
        case Pipe::m:
            return std::max<std::uint64_t>(work.steps, 1);
        default:
            return move_cycles(work);
    }
}

std::uint32_t passes_of(const char* name) {
    const std::string wanted = std::string(" ") + name + " ";
    for (const Passes& row : library_functions) {
        if (std::strstr(row.names, wanted.c_str()) != nullptr) {
            return row.passes;
        }
    }
    return 1;
}

std::uint64_t cube_cycles(std::uint64_t m, std::uint64_t n, std::uint64_t k, std::uint64_t bytes) {
    const std::uint64_t depth = bytes == 4 ? rounded_up(k, 4) : rounded_up(k * bytes, 32);
    return rounded_up(m, 16) * rounded_up(n, 16) * depth;
}

std::uint32_t cycles_per_microsecond() {
    static const std::uint32_t mhz = [] {
        const Frequency* row = frequencies;
        while (soc().name.compare(0, std::strlen(row->prefix), row->prefix) != 0) {
            ++row;
        }
        return row->mhz;
    }();
    return mhz;
}

std::uint64_t issue_cycles() { return issue; }

std::uint64_t sync_all_cycles() { return sync_all; }

std::string costs_as_json() {
    static const char* const names[] = {"UB", "L1", "L0A", "L0B", "L0C", "BT", "FB", "GM"};
    const auto name = [](int place) { return std::string(place == any ? "*" : names[place]); };
    std::string text = "\"cycles_per_us\":" + std::to_string(cycles_per_microsecond()) +
                       ",\"vector_start\":" + std::to_string(vector_start) +
                       ",\"vector_bytes_per_cycle\":" + std::to_string(repeat_bytes) +
                       ",\"scalar_local\":" + std::to_string(scalar_local) +
                       ",\"scalar_global\":" + std::to_string(scalar_global) +
                       ",\"issue\":" + std::to_string(issue) +
                       ",\"sync_all\":" + std::to_string(sync_all) + ",\"moves\":[";
    for (std::size_t index = 0; index < moves_of_soc().count; ++index) {
        const Move& move = moves_of_soc().moves[index];
        text += std::string(index == 0 ? "" : ",") + R"({"path":")" + name(move.from) + " to " +
                name(move.to) + R"(","only":")" + (move.name == nullptr ? "" : move.name) +
                R"(","start":)" + std::to_string(move.start) + R"(,"read_bytes_per_cycle":)" +
                std::to_string(move.read_rate) + R"(,"written_bytes_per_cycle":)" +
                std::to_string(move.write_rate) + R"(,"source":")" + move.source + "\"}";
    }
    return text + "]";
}

}  // namespace aicore
