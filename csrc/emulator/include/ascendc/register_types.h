// Registers of the vector unit of Ascend 950: RegTensor, MaskReg, and what selects their lanes.
//
// A load of a register takes 256 bytes, also where a kernel needs fewer: what lies behind may never
// have been written, or is being written by another pipe. So each byte of a register has a flaw, 0
// for none, that follows it through the instructions, and that is reported where a mask selects it:
// at a store, a comparison or a reduction.
#pragma once

#include <array>
#include <exception>

#include "ascendc/vector_cast.h"
#include "ascendc/vector_reduce.h"
#include "ascendc/vector_types.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the names are CANN's
#define __simd_vf__
#define __simd_callee__
// The instructions in braces behind it are one vector function.
#define __VEC_SCOPE__ if (const ::aicore::VectorFunction vector_function; true)
// NOLINTEND(bugprone-reserved-identifier)

namespace aicore {

constexpr std::uint32_t register_bytes = 256;
constexpr std::uint16_t never_loaded = 1;  // the flaw of a register that nothing has written

/// A part of a kernel in which loads and stores of registers run in no order unless LocalMemBar or
/// a register that both use orders them.
class VectorFunction {
  public:
    VectorFunction() { core->begin_vector_function(); }
    ~VectorFunction() { core->end_vector_function(); }
    VectorFunction(const VectorFunction&) = delete;
    VectorFunction& operator=(const VectorFunction&) = delete;
};

}  // namespace aicore

namespace AscendC::Reg {

struct DefaultType {};

struct RegTrait {
    int REG_NUM = 1;  // NOLINT(readability-identifier-naming): the name is CANN's
};
constexpr RegTrait RegTraitNumOne = {1};
constexpr RegTrait RegTraitNumTwo = {2};

/// Elements in one register of 256 bytes, or in two, which hold 64 elements of 64 bits.
template <class T, const RegTrait& regTrait = RegTraitNumOne>
struct RegTensor {
    static_assert(regTrait.REG_NUM == 1 || sizeof(T) == 8,
                  "RegTensor: RegTraitNumTwo is emulated for elements of 64 bits");
    using ActualT = T;  // NOLINT(readability-identifier-naming)
    static constexpr RegTrait trait = regTrait;
    static constexpr int REG_NUM = regTrait.REG_NUM;  // NOLINT(readability-identifier-naming)

    RegTensor() { std::fill_n(flaws, size, aicore::never_loaded); }

    // For the instructions. All are accesses to bytes, since kernels view registers as another
    // type.
    static constexpr std::uint32_t size = REG_NUM * aicore::register_bytes;
    static constexpr std::uint32_t lanes = size / sizeof(T);
    std::uint8_t bytes[size];
    std::uint16_t flaws[size];

    T get(std::uint32_t lane) const {
        T value;
        std::memcpy(&value, bytes + lane * sizeof(T), sizeof(T));
        return value;
    }
    void set(std::uint32_t lane, T value, std::uint16_t flaw = 0) {
        std::memcpy(bytes + lane * sizeof(T), &value, sizeof(T));
        std::fill_n(flaws + lane * sizeof(T), sizeof(T), flaw);
    }
    std::uint16_t flaw(std::uint32_t lane) const {
        return *std::max_element(flaws + lane * sizeof(T), flaws + (lane + 1) * sizeof(T));
    }
    void clear() {
        std::fill_n(bytes, size, std::uint8_t{0});
        std::fill_n(flaws, size, std::uint16_t{0});
    }
};

/// A bit for each byte of a register; the lowest bit of an element selects it.
struct MaskReg {
    std::array<std::uint64_t, 4> bits{};
    bool is_set = false;

    bool on(std::uint32_t bit) const { return (bits[bit / 64] >> (bit % 64) & 1) != 0; }
    void turn_on(std::uint32_t bit) { bits[bit / 64] |= 1ULL << (bit % 64); }
};

/// An offset in elements, of up to four loops.
struct AddrReg {
    std::uint64_t elements = 0;
};

/// Holds what lies between an address and the block of 32 bytes around it.
struct UnalignReg {
    UnalignReg() = default;
    ~UnalignReg() {
        if (stored && std::uncaught_exceptions() == 0) {
            aicore::core->report("unaligned",
                                 "StoreUnAlign without StoreUnAlignPost behind it: the last bytes "
                                 "stay in the register",
                                 site);
        }
    }
    UnalignReg(const UnalignReg&) = default;
    UnalignReg& operator=(const UnalignReg&) = default;

    bool prepared = false;  // by LoadUnAlignPre
    bool stored = false;    // and StoreUnAlignPost did not come yet
    aicore::Site site{"", 0};
};
using UnalignRegForLoad = UnalignReg;
using UnalignRegForStore = UnalignReg;

enum class MaskMergeMode : std::uint8_t { UNKNOWN, MERGING, ZEROING };
enum class MaskPattern : std::uint8_t {
    ALL,
    VL1,
    VL2,
    VL3,
    VL4,
    VL8,
    VL16,
    VL32,
    VL64,
    VL128,
    M3,
    M4,
    H,
    Q,
    ALLF = 15
};
enum class HighLowPart : std::uint8_t { LOWEST, HIGHEST };
enum class IndexOrder : std::uint8_t { INCREASE_ORDER, DECREASE_ORDER };
enum class PostLiteral : std::uint8_t { POST_MODE_NORMAL, POST_MODE_UPDATE };
enum class DataCopyMode : std::uint8_t { DATA_BLOCK_COPY };
enum class MemType : std::uint8_t {
    VEC_STORE,
    VEC_LOAD,
    SCALAR_STORE,
    SCALAR_LOAD,
    VEC_ALL,
    SCALAR_ALL
};
enum class GatherMaskMode : std::uint8_t { NO_STORE_REG, STORE_REG };
using ReduceType = AscendC::ReduceType;
enum class PairReduce : std::uint8_t { SUM };

}  // namespace AscendC::Reg

namespace AscendC {
namespace MicroAPI = Reg;  // its former name
}

namespace aicore {

using AscendC::Reg::MaskMergeMode;
using AscendC::Reg::MaskReg;

template <class R>
concept Register = requires {
    typename R::ActualT;
    R::REG_NUM;
    R::lanes;
};
template <class R>
using ElementOfRegister = typename R::ActualT;

/// T of a call is the type of the register, or not given.
template <class T, class R>
constexpr bool is_type_of =
    std::is_same_v<T, AscendC::Reg::DefaultType> || std::is_same_v<T, ElementOfRegister<R>>;

/// The bits of a mask for each element.
template <Register R>
constexpr std::uint32_t mask_step = 256 / R::lanes;

template <Register R>
bool selects(const MaskReg& mask, std::uint32_t lane) {
    return mask.on(lane * mask_step<R>);
}

inline void require_mask(const Instruction& instruction, const MaskReg& mask) {
    if (!mask.is_set) {
        core->report("mask", std::string(instruction.name) + ": the MaskReg has no value",
                     instruction.site);
    }
}

/// Report an element whose value is not known, and return whether it is known.
inline bool require_known(const Instruction& instruction, std::uint16_t flaw) {
    if (flaw != 0) {
        core->report_flaw(instruction, flaw);
    }
    return flaw == 0;
}

/// Compute `body(src...)` for each element that the mask selects; the others become zero, or stay.
template <Register Dst, class Body, Register... Src>
void per_lane(const Instruction& instruction, Dst& dst, const MaskReg& mask, bool merges, Body body,
              const Src&... src) {
    require_mask(instruction, mask);
    Dst result = dst;
    if (!merges) {
        result.clear();
    }
    for (std::uint32_t lane = 0; lane < Dst::lanes; ++lane) {
        if (!selects<Dst>(mask, lane)) {
            continue;
        }
        const std::uint16_t flaw = std::max({std::uint16_t{0}, src.flaw(lane)...});
        result.set(lane, flaw == 0 ? body(src.get(lane)...) : ElementOfRegister<Dst>{}, flaw);
    }
    dst = result;
}

/// The template parameter `mode` of a function: a MaskMergeMode, or a pointer to a structure with
/// one and the algorithm.
template <auto mode>
constexpr MaskMergeMode merge_mode() {
    if constexpr (std::is_same_v<decltype(mode), MaskMergeMode>) {
        return mode;
    } else {
        return mode->mrgMode;
    }
}

}  // namespace aicore

namespace AscendC::Reg {

template <class T>
AddrReg CreateAddrReg(std::uint16_t index0, std::uint32_t stride0) {
    return {std::uint64_t{index0} * stride0};
}
template <class T, class... Rest>
AddrReg CreateAddrReg(std::uint16_t index, std::uint32_t stride, std::uint16_t next, Rest... rest) {
    static_assert(sizeof...(Rest) == 1 || sizeof...(Rest) == 3 || sizeof...(Rest) == 5,
                  "CreateAddrReg takes one to four pairs of an index and a stride");
    return {std::uint64_t{index} * stride + CreateAddrReg<T>(next, rest...).elements};
}

/// Let loads and stores behind it wait for those before it.
template <MemType src, MemType dst>
void LocalMemBar() {
    constexpr bool scalar_source =
        src == MemType::SCALAR_STORE || src == MemType::SCALAR_LOAD || src == MemType::SCALAR_ALL;
    constexpr bool scalar_target =
        dst == MemType::SCALAR_STORE || dst == MemType::SCALAR_LOAD || dst == MemType::SCALAR_ALL;
    static_assert(!(scalar_source && scalar_target), "LocalMemBar: one side must be a vector's");
    if constexpr ((src == MemType::VEC_STORE || src == MemType::VEC_ALL) &&
                  (dst == MemType::VEC_LOAD || dst == MemType::VEC_ALL)) {
        aicore::core->order_vector_function();
    }
}

}  // namespace AscendC::Reg

/// Call a vector function, which has the attribute __simd_vf__.
template <auto function, class... Arguments>
void asc_vf_call(Arguments&&... arguments) {
    const aicore::VectorFunction vector_function;
    function(std::forward<Arguments>(arguments)...);
}
namespace AscendC {
template <auto function, class... Arguments>
void VF_CALL(Arguments&&... arguments) {
    ::asc_vf_call<function>(std::forward<Arguments>(arguments)...);
}
}  // namespace AscendC
