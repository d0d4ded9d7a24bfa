// Loads of registers from UB, and stores to it.
#pragma once

#include "ascendc/register_masks.h"

namespace AscendC::Reg {

enum class LoadDist : std::uint8_t {
    DIST_NORM,
    DIST_BRC_B8,
    DIST_BRC_B16,
    DIST_BRC_B32,
    DIST_US_B8 = 6,
    DIST_US_B16,
    DIST_DS_B8,
    DIST_DS_B16,
    DIST_BDINTLV,
    DIST_DINTLV_B8,
    DIST_DINTLV_B16,
    DIST_UNPACK_B8,
    DIST_UNPACK_B16,
    DIST_BLK,
    DIST_E2B_B16,
    DIST_E2B_B32,
    DIST_UNPACK_B32,
    DIST_DINTLV_B32,
    DIST_UNPACK4_B8,
    DIST_SPLT4CHN_B8,
    DIST_SPLT2CHN_B8,
    DIST_SPLT2CHN_B16
};
enum class StoreDist : std::uint8_t {
    DIST_NORM_B8,
    DIST_NORM_B16,
    DIST_NORM_B32,
    DIST_FIRST_ELEMENT_B8,
    DIST_FIRST_ELEMENT_B16,
    DIST_FIRST_ELEMENT_B32,
    DIST_PACK_B16,
    DIST_PACK_B32,
    DIST_INTLV_B8,
    DIST_INTLV_B16,
    DIST_PACK_B64,
    DIST_INTLV_B32,
    DIST_PACK4_B32,
    DIST_MRG4CHN_B8,
    DIST_MRG2CHN_B8,
    DIST_MRG2CHN_B16,
    DIST_NORM
};
enum class MaskDist : std::uint8_t { DIST_NORM, DIST_US, DIST_DS, DIST_PACK = 1 };

}  // namespace AscendC::Reg

namespace aicore {

using AscendC::Reg::LoadDist;
using AscendC::Reg::StoreDist;

/// How a distribution fills a register: each piece of `piece` bytes is loaded `copies` times, with
/// `zeros` bytes behind it, and `skipped` bytes of memory are left out.
struct Distribution {
    std::uint32_t piece = 0;  // 0: not emulated
    std::uint32_t copies = 1;
    std::uint32_t zeros = 0;
    std::uint32_t skipped = 0;
    std::uint32_t alignment = 32;
};

constexpr Distribution distribution_of(LoadDist dist) {
    switch (dist) {
        case LoadDist::DIST_NORM:
            return {256};
        case LoadDist::DIST_BRC_B8:
            return {1, 256, 0, 0, 1};
        case LoadDist::DIST_BRC_B16:
            return {2, 128, 0, 0, 2};
        case LoadDist::DIST_BRC_B32:
            return {4, 64, 0, 0, 4};
        case LoadDist::DIST_US_B8:
            return {1, 2};
        case LoadDist::DIST_US_B16:
            return {2, 2};
        case LoadDist::DIST_DS_B8:
            return {1, 1, 0, 1};
        case LoadDist::DIST_DS_B16:
            return {2, 1, 0, 2};
        case LoadDist::DIST_UNPACK_B8:
            return {1, 1, 1};
        case LoadDist::DIST_UNPACK_B16:
            return {2, 1, 2};
        case LoadDist::DIST_UNPACK_B32:
            return {4, 1, 4};
        case LoadDist::DIST_UNPACK4_B8:
            return {1, 1, 3};
        case LoadDist::DIST_BLK:
            return {32, 8};
        case LoadDist::DIST_E2B_B16:
            return {2, 16, 0, 0, 16};
        case LoadDist::DIST_E2B_B32:
            return {4, 8};
        default:
            return {};
    }
}

/// The bytes of an element that a load puts into two registers in turn, or 0.
constexpr std::uint32_t element_in_turn(LoadDist dist) {
    return dist == LoadDist::DIST_DINTLV_B8    ? 1
           : dist == LoadDist::DIST_DINTLV_B16 ? 2
           : dist == LoadDist::DIST_DINTLV_B32 ? 4
                                               : 0;
}

/// How a register is stored: of each element of `width` bytes, the lowest `kept`.
struct StoreForm {
    std::uint32_t width = 0;  // 0: not emulated
    std::uint32_t kept = 0;
    bool first_only = false;
    std::uint32_t alignment = 32;
};

constexpr StoreForm form_of(StoreDist dist, std::uint32_t width) {
    switch (dist) {
        case StoreDist::DIST_NORM:
            return {width, width};
        case StoreDist::DIST_NORM_B8:
            return {1, 1};
        case StoreDist::DIST_NORM_B16:
            return {2, 2};
        case StoreDist::DIST_NORM_B32:
            return {4, 4};
        case StoreDist::DIST_FIRST_ELEMENT_B8:
            return {1, 1, true, 1};
        case StoreDist::DIST_FIRST_ELEMENT_B16:
            return {2, 2, true, 2};
        case StoreDist::DIST_FIRST_ELEMENT_B32:
            return {4, 4, true, 4};
        case StoreDist::DIST_PACK_B16:
            return {2, 1};
        case StoreDist::DIST_PACK_B32:
            return {4, 2};
        case StoreDist::DIST_PACK_B64:
            return {8, 4};
        case StoreDist::DIST_PACK4_B32:
            return {4, 1};
        default:
            return {};
    }
}

constexpr std::uint32_t element_in_turn(StoreDist dist) {
    return dist == StoreDist::DIST_INTLV_B8    ? 1
           : dist == StoreDist::DIST_INTLV_B16 ? 2
           : dist == StoreDist::DIST_INTLV_B32 ? 4
                                               : 0;
}

/// Bytes of UB with their flaws, on the way to a register.
struct LoadedBytes {
    std::uint8_t bytes[512];
    std::uint16_t flaws[512];

    LoadedBytes(const Instruction& instruction, const void* from, std::uint32_t count,
                std::uint32_t alignment, const void* to) {
        core->load_register(instruction, from, count, alignment, bytes, flaws, to);
    }
};

template <Register R>
void put(R& to, std::uint32_t at, const LoadedBytes& from, std::uint32_t begin,
         std::uint32_t count) {
    std::memcpy(to.bytes + at, from.bytes + begin, count);
    std::copy_n(from.flaws + begin, count, to.flaws + at);
}

template <LoadDist dist, Register R>
void load(const Instruction& instruction, R& to, const void* from) {
    if constexpr (R::REG_NUM == 2) {
        static_assert(dist == LoadDist::DIST_NORM, "two registers have LoadDist::DIST_NORM only");
        put(to, 0, LoadedBytes(instruction, from, R::size, 32, &to), 0, R::size);
    } else {
        constexpr Distribution form = distribution_of(dist);
        static_assert(form.piece != 0, "this LoadDist is not one of a load of one register");
        static_assert(form.piece <= 32 || sizeof(ElementOfRegister<R>) <= 8, "");
        constexpr std::uint32_t group = form.piece * form.copies + form.zeros;
        constexpr std::uint32_t step = form.piece + form.skipped;
        const LoadedBytes loaded(instruction, from, register_bytes / group * step, form.alignment,
                                 &to);
        to.clear();
        for (std::uint32_t at = 0; at < register_bytes; at += group) {
            for (std::uint32_t copy = 0; copy < form.copies; ++copy) {
                put(to, at + copy * form.piece, loaded, at / group * step, form.piece);
            }
        }
    }
}

template <LoadDist dist, Register R>
void load_two(const Instruction& instruction, R& even, R& odd, const void* from) {
    constexpr std::uint32_t width = element_in_turn(dist);
    static_assert(width != 0 && R::REG_NUM == 1, "a load of two registers takes DIST_DINTLV_B*");
    const LoadedBytes loaded(instruction, from, 512, 32, &even);
    for (std::uint32_t at = 0; at < register_bytes; at += width) {
        put(even, at, loaded, at * 2, width);
        put(odd, at, loaded, at * 2 + width, width);
    }
}

/// Whether the elements that a mask selects are the first ones.
inline bool is_prefix(const MaskReg& mask, std::uint32_t step) {
    bool ended = false;
    for (std::uint32_t bit = 0; bit < 256; bit += step) {
        if (mask.on(bit) && ended) {
            return false;
        }
        ended = ended || !mask.on(bit);
    }
    return true;
}

/// Store the lowest bytes of the elements that a mask selects.
template <Register R>
void store_form(const Instruction& instruction, void* to, const R& from, const MaskReg& mask,
                const StoreForm& form) {
    std::uint8_t bytes[512];
    bool on[512] = {};
    const std::uint32_t lanes = R::size / form.width;
    const std::uint32_t step = 256 / lanes;
    if (!form.first_only) {
        require_mask(instruction, mask);
        core->require(form.kept == form.width || is_prefix(mask, step), "unsupported",
                      "a store that packs elements: the mask must select the first ones",
                      instruction.site);
    }
    for (std::uint32_t lane = 0; lane < (form.first_only ? 1 : lanes); ++lane) {
        if (!form.first_only && !mask.on(lane * step)) {
            continue;
        }
        for (std::uint32_t byte = 0; byte < form.kept; ++byte) {
            const std::uint32_t source = lane * form.width + byte;
            const std::uint32_t target = lane * form.kept + byte;
            bytes[target] = from.bytes[source];
            on[target] = require_known(instruction, from.flaws[source]);
        }
    }
    core->store_register(instruction, to, lanes * form.kept, form.alignment, bytes, on, &from);
}

template <StoreDist dist, class T, Register R>
void store(const Instruction& instruction, T* to, const R& from, const MaskReg& mask) {
    constexpr bool natural = dist == StoreDist::DIST_NORM;
    static_assert(!natural || sizeof(T) == sizeof(ElementOfRegister<R>),
                  "StoreDist::DIST_NORM: the register's elements must have the size of T");
    constexpr StoreForm form = form_of(dist, sizeof(T));
    static_assert(form.width != 0, "this StoreDist is not one of a store of one register");
    store_form(instruction, to, from, mask, form);
}

/// Store the elements of two registers in turn.
template <StoreDist dist, Register R>
void store_two(const Instruction& instruction, void* to, const R& even, const R& odd) {
    constexpr std::uint32_t width = element_in_turn(dist);
    static_assert(width != 0 && R::REG_NUM == 1, "a store of two registers takes DIST_INTLV_B*");
    std::uint8_t bytes[512];
    bool on[512] = {};
    for (std::uint32_t at = 0; at < 512; ++at) {
        const R& from = at / width % 2 == 0 ? even : odd;
        const std::uint32_t source = at / (2 * width) * width + at % width;
        bytes[at] = from.bytes[source];
        on[at] = require_known(instruction, from.flaws[source]);
    }
    core->store_register(instruction, to, 512, 32, bytes, on, &even);
}

}  // namespace aicore

namespace AscendC::Reg {

#define AICORE_NOTE(NAME) {NAME, aicore::Pipe::v, site}
#define AICORE_SITE aicore::Site site = aicore::Site::here()

// Loads, by their names and by the former ones. Each updates the address, or takes an offset.
#define AICORE_LOADS(NAME)                                                                       \
    template <class T = DefaultType, LoadDist dist = LoadDist::DIST_NORM, aicore::Register U>    \
    void NAME(U& dstReg, __ubuf__ T* srcAddr, AICORE_SITE) {                                     \
        aicore::load<dist>(AICORE_NOTE(#NAME), dstReg, srcAddr);                                 \
    }                                                                                            \
    template <class T = DefaultType, PostLiteral postMode, LoadDist dist = LoadDist::DIST_NORM,  \
              aicore::Register U>                                                                \
    void NAME(U& dstReg, __ubuf__ T*& srcAddr, std::int32_t postUpdateStride, AICORE_SITE) {     \
        static_assert(postMode == PostLiteral::POST_MODE_UPDATE, "use POST_MODE_UPDATE");        \
        aicore::load<dist>(AICORE_NOTE(#NAME), dstReg, srcAddr);                                 \
        srcAddr += postUpdateStride;                                                             \
    }                                                                                            \
    template <class T = DefaultType, LoadDist dist = LoadDist::DIST_NORM, aicore::Register U>    \
    void NAME(U& dstReg, __ubuf__ T* srcAddr, AddrReg offset, AICORE_SITE) {                     \
        aicore::load<dist>(AICORE_NOTE(#NAME), dstReg, srcAddr + offset.elements);               \
    }                                                                                            \
    template <class T = DefaultType, LoadDist dist, aicore::Register U>                          \
    void NAME(U& dstReg0, U& dstReg1, __ubuf__ T* srcAddr, AICORE_SITE) {                        \
        aicore::load_two<dist>(AICORE_NOTE(#NAME), dstReg0, dstReg1, srcAddr);                   \
    }                                                                                            \
    template <class T = DefaultType, PostLiteral postMode, LoadDist dist, aicore::Register U>    \
    void NAME(U& dstReg0, U& dstReg1, __ubuf__ T*& srcAddr, std::int32_t postUpdateStride,       \
              AICORE_SITE) {                                                                     \
        static_assert(postMode == PostLiteral::POST_MODE_UPDATE, "use POST_MODE_UPDATE");        \
        aicore::load_two<dist>(AICORE_NOTE(#NAME), dstReg0, dstReg1, srcAddr);                   \
        srcAddr += postUpdateStride;                                                             \
    }                                                                                            \
    template <class T = DefaultType, LoadDist dist, aicore::Register U>                          \
    void NAME(U& dstReg0, U& dstReg1, __ubuf__ T* srcAddr, AddrReg offset, AICORE_SITE) {        \
        aicore::load_two<dist>(AICORE_NOTE(#NAME), dstReg0, dstReg1, srcAddr + offset.elements); \
    }

#define AICORE_STORES(NAME)                                                                       \
    template <class T = DefaultType, StoreDist dist = StoreDist::DIST_NORM, aicore::Register U>   \
    void NAME(__ubuf__ T* dstAddr, U& srcReg, MaskReg& mask, AICORE_SITE) {                       \
        aicore::store<dist>(AICORE_NOTE(#NAME), dstAddr, srcReg, mask);                           \
    }                                                                                             \
    template <class T = DefaultType, PostLiteral postMode, StoreDist dist = StoreDist::DIST_NORM, \
              aicore::Register U>                                                                 \
    void NAME(__ubuf__ T*& dstAddr, U& srcReg, std::int32_t postUpdateStride, MaskReg& mask,      \
              AICORE_SITE) {                                                                      \
        static_assert(postMode == PostLiteral::POST_MODE_UPDATE, "use POST_MODE_UPDATE");         \
        aicore::store<dist>(AICORE_NOTE(#NAME), dstAddr, srcReg, mask);                           \
        dstAddr += postUpdateStride;                                                              \
    }                                                                                             \
    template <class T = DefaultType, StoreDist dist = StoreDist::DIST_NORM, aicore::Register U>   \
    void NAME(__ubuf__ T* dstAddr, U& srcReg, AddrReg offset, MaskReg& mask, AICORE_SITE) {       \
        aicore::store<dist>(AICORE_NOTE(#NAME), dstAddr + offset.elements, srcReg, mask);         \
    }                                                                                             \
    template <class T = DefaultType, StoreDist dist, aicore::Register U>                          \
    void NAME(__ubuf__ T* dstAddr, U& srcReg0, U& srcReg1, MaskReg& /*mask*/, AICORE_SITE) {      \
        aicore::store_two<dist>(AICORE_NOTE(#NAME), dstAddr, srcReg0, srcReg1);                   \
    }                                                                                             \
    template <class T = DefaultType, StoreDist dist, aicore::Register U>                          \
    void NAME(__ubuf__ T* dstAddr, U& srcReg0, U& srcReg1, AddrReg offset, MaskReg& /*mask*/,     \
              AICORE_SITE) {                                                                      \
        aicore::store_two<dist>(AICORE_NOTE(#NAME), dstAddr + offset.elements, srcReg0, srcReg1); \
    }

AICORE_LOADS(LoadAlign)
AICORE_LOADS(DataCopy)
AICORE_STORES(StoreAlign)
AICORE_STORES(DataCopy)

}  // namespace AscendC::Reg
