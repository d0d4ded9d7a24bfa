// Moves between UB and registers that are not of one piece: blocks with a stride, addresses that
// are not aligned, elements by an index, and masks.
#pragma once

#include "ascendc/register_memory.h"

namespace aicore {

/// Load 8 blocks of 32 bytes that are `stride` blocks apart; a block of which the mask selects
/// nothing is not read, and becomes zero.
template <Register R>
void load_strided(const Instruction& instruction, R& to, const void* from, std::uint32_t stride,
                  const MaskReg& mask) {
    require_mask(instruction, mask);
    to.clear();
    for (std::uint32_t block = 0; block < 8; ++block) {
        if ((mask.bits[block / 2] >> (block % 2 * 32) & 0xFFFFFFFFU) != 0) {
            const auto* const source = static_cast<const std::uint8_t*>(from);
            put(to, block * 32, LoadedBytes(instruction, source + block * stride * 32, 32, 32, &to),
                0, 32);
        }
    }
}

template <Register R>
void store_strided(const Instruction& instruction, void* to, const R& from, std::uint32_t stride,
                   const MaskReg& mask) {
    require_mask(instruction, mask);
    for (std::uint32_t block = 0; block < 8; ++block) {
        bool on[32] = {};
        bool any = false;
        for (std::uint32_t byte = 0; byte < 32; ++byte) {
            const std::uint32_t at = block * 32 + byte;
            const std::uint32_t lane = at / sizeof(ElementOfRegister<R>);
            on[byte] = selects<R>(mask, lane) && require_known(instruction, from.flaws[at]);
            any = any || on[byte];
        }
        if (any) {
            core->store_register(instruction, static_cast<std::uint8_t*>(to) + block * stride * 32,
                                 32, 32, from.bytes + block * 32, on, &from);
        }
    }
}

/// Store the first elements at any address.
template <Register R>
void store_first(const Instruction& instruction, void* to, const R& from, std::uint32_t count) {
    if (count > R::lanes) {
        core->end("range",
                  std::string(instruction.name) + ": a register has " + std::to_string(R::lanes) +
                      " elements, got " + std::to_string(count),
                  instruction.site);
    }
    bool on[R::size] = {};
    const std::uint32_t bytes = count * sizeof(ElementOfRegister<R>);
    for (std::uint32_t byte = 0; byte < bytes; ++byte) {
        on[byte] = require_known(instruction, from.flaws[byte]);
    }
    core->store_register(instruction, to, bytes, 1, from.bytes, on, &from);
}

/// The value of an index that a mask selects.
template <Register R>
std::uint64_t index_of(const Instruction& instruction, const R& indices, std::uint32_t lane) {
    return require_known(instruction, indices.flaw(lane))
               ? static_cast<std::uint64_t>(indices.get(lane))
               : 0;
}

}  // namespace aicore

namespace AscendC::Reg {

#define AICORE_STRIDED(LOAD, STORE)                                                          \
    template <class T = DefaultType, DataCopyMode dataMode, aicore::Register U>              \
    void LOAD(U& dstReg, __ubuf__ T* srcAddr, std::uint32_t dataBlockStride, MaskReg& mask,  \
              AICORE_SITE) {                                                                 \
        aicore::load_strided(AICORE_NOTE(#LOAD), dstReg, srcAddr, dataBlockStride, mask);    \
    }                                                                                        \
    template <class T = DefaultType, DataCopyMode dataMode, PostLiteral postMode,            \
              aicore::Register U>                                                            \
    void LOAD(U& dstReg, __ubuf__ T*& srcAddr, std::uint32_t dataBlockStride,                \
              std::uint32_t repeatStride, MaskReg& mask, AICORE_SITE) {                      \
        const std::uint32_t step = repeatStride * 32 / sizeof(T);                            \
        constexpr bool updates = postMode == PostLiteral::POST_MODE_UPDATE;                  \
        aicore::load_strided(AICORE_NOTE(#LOAD), dstReg, srcAddr + (updates ? 0 : step),     \
                             dataBlockStride, mask);                                         \
        srcAddr += updates ? step : 0;                                                       \
    }                                                                                        \
    template <class T = DefaultType, DataCopyMode dataMode, aicore::Register U>              \
    void STORE(__ubuf__ T* dstAddr, U& srcReg, std::uint32_t dataBlockStride, MaskReg& mask, \
               AICORE_SITE) {                                                                \
        aicore::store_strided(AICORE_NOTE(#STORE), dstAddr, srcReg, dataBlockStride, mask);  \
    }                                                                                        \
    template <class T = DefaultType, DataCopyMode dataMode, PostLiteral postMode,            \
              aicore::Register U>                                                            \
    void STORE(__ubuf__ T*& dstAddr, U& srcReg, std::uint32_t dataBlockStride,               \
               std::uint32_t repeatStride, MaskReg& mask, AICORE_SITE) {                     \
        const std::uint32_t step = repeatStride * 32 / sizeof(T);                            \
        constexpr bool updates = postMode == PostLiteral::POST_MODE_UPDATE;                  \
        aicore::store_strided(AICORE_NOTE(#STORE), dstAddr + (updates ? 0 : step), srcReg,   \
                              dataBlockStride, mask);                                        \
        dstAddr += updates ? step : 0;                                                       \
    }

AICORE_STRIDED(LoadAlign, StoreAlign)
AICORE_STRIDED(DataCopy, DataCopy)

// At addresses that are not aligned. A device keeps what lies before the next block of 32 bytes in
// the UnalignReg; here the memory has it at once.
#define AICORE_UNALIGNED(PRE, LOAD, STORE, POST)                                                  \
    template <class T>                                                                            \
    void PRE(UnalignRegForLoad& ureg, __ubuf__ T* /*srcAddr*/) {                                  \
        ureg.prepared = true;                                                                     \
    }                                                                                             \
    template <class T>                                                                            \
    void PRE(UnalignRegForLoad& ureg, __ubuf__ T* /*srcAddr*/, AddrReg& /*areg*/) {               \
        ureg.prepared = true;                                                                     \
    }                                                                                             \
    template <class T = DefaultType, aicore::Register U>                                          \
    void LOAD(U& dstReg, UnalignRegForLoad& ureg, __ubuf__ T* srcAddr, AICORE_SITE) {             \
        const aicore::Instruction instruction AICORE_NOTE(#LOAD);                                 \
        aicore::core->require(ureg.prepared, "unaligned", #PRE " must come before " #LOAD, site); \
        aicore::put(dstReg, 0, aicore::LoadedBytes(instruction, srcAddr, U::size, 1, &dstReg), 0, \
                    U::size);                                                                     \
    }                                                                                             \
    template <class T = DefaultType, PostLiteral postMode = PostLiteral::POST_MODE_UPDATE,        \
              aicore::Register U>                                                                 \
    void LOAD(U& dstReg, UnalignRegForLoad& ureg, __ubuf__ T*& srcAddr,                           \
              std::uint32_t postUpdateStride, AICORE_SITE) {                                      \
        static_assert(postMode == PostLiteral::POST_MODE_UPDATE, "use POST_MODE_UPDATE");         \
        LOAD(dstReg, ureg, static_cast<__ubuf__ T*>(srcAddr), site);                              \
        srcAddr += postUpdateStride;                                                              \
    }                                                                                             \
    template <class T = DefaultType, aicore::Register U>                                          \
    void LOAD(U& dstReg, UnalignRegForLoad& ureg, __ubuf__ T*& srcAddr, AddrReg& areg,            \
              std::uint32_t /*inc*/, AICORE_SITE) {                                               \
        LOAD(dstReg, ureg, srcAddr + areg.elements, site);                                        \
    }                                                                                             \
    template <class T = DefaultType, PostLiteral postMode = PostLiteral::POST_MODE_UPDATE,        \
              aicore::Register U>                                                                 \
    void STORE(__ubuf__ T*& dstAddr, U& srcReg, UnalignRegForStore& ureg,                         \
               std::uint32_t postUpdateStride, AICORE_SITE) {                                     \
        static_assert(postMode == PostLiteral::POST_MODE_UPDATE, "use POST_MODE_UPDATE");         \
        aicore::store_first(AICORE_NOTE(#STORE), dstAddr, srcReg, postUpdateStride);              \
        ureg.stored = true;                                                                       \
        ureg.site = site;                                                                         \
        dstAddr += postUpdateStride;                                                              \
    }                                                                                             \
    template <class T, PostLiteral postMode = PostLiteral::POST_MODE_UPDATE>                      \
    void POST(__ubuf__ T*& dstAddr, UnalignRegForStore& ureg, std::int32_t postUpdateStride) {    \
        ureg.stored = false;                                                                      \
        dstAddr += postUpdateStride;                                                              \
    }

AICORE_UNALIGNED(LoadUnAlignPre, LoadUnAlign, StoreUnAlign, StoreUnAlignPost)
AICORE_UNALIGNED(DataCopyUnAlignPre, DataCopyUnAlign, DataCopyUnAlign, DataCopyUnAlignPost)

/// What the last Squeeze kept, behind what the others before it kept.
template <class T = DefaultType, PostLiteral postMode = PostLiteral::POST_MODE_UPDATE,
          aicore::Register U>
void StoreUnAlign(__ubuf__ T* dstAddr, U& srcReg, UnalignRegForStore& ureg, AICORE_SITE) {
    static_assert(postMode == PostLiteral::POST_MODE_UPDATE,
                  "StoreUnAlign behind Squeeze is emulated with POST_MODE_UPDATE only");
    aicore::Core& core = *aicore::core;
    core.require(core.squeezed != aicore::Core::nothing_squeezed, "unaligned",
                 "StoreUnAlign without an address step must follow Squeeze with STORE_REG", site);
    const std::uint32_t bytes = core.squeezed == aicore::Core::nothing_squeezed ? 0 : core.squeezed;
    aicore::store_first(AICORE_NOTE("StoreUnAlign"), dstAddr + core.squeezed_before / sizeof(T),
                        srcReg, bytes / sizeof(T));
    core.squeezed_before += bytes;
    core.squeezed = aicore::Core::nothing_squeezed;
    ureg.stored = true;
    ureg.site = site;
}
template <class T>
void StoreUnAlignPost(__ubuf__ T* /*dstAddr*/, UnalignRegForStore& ureg) {
    ureg.stored = false;
}

template <class T = DefaultType, aicore::Register U>
void Load(U& dstReg, __ubuf__ T* srcAddr, AICORE_SITE) {
    const aicore::Instruction instruction AICORE_NOTE("Load");
    aicore::put(dstReg, 0, aicore::LoadedBytes(instruction, srcAddr, U::size, 1, &dstReg), 0,
                U::size);
}
template <class T = DefaultType, aicore::Register U>
void Store(__ubuf__ T* dstAddr, U& srcReg, std::uint32_t count, AICORE_SITE) {
    aicore::store_first(AICORE_NOTE("Store"), dstAddr, srcReg, count);
}
template <class T = DefaultType, aicore::Register U>
void Store(__ubuf__ T* dstAddr, U& srcReg, AICORE_SITE) {
    Store(dstAddr, srcReg, U::lanes, site);
}

// Elements by an index, which counts elements from the address.
template <class T0 = DefaultType, class T1, class T2 = DefaultType, aicore::Register T3,
          aicore::Register T4>
void Gather(T3& dstReg, __ubuf__ T1* baseAddr, T4& index, MaskReg& mask, AICORE_SITE) {
    using Element = aicore::ElementOfRegister<T3>;
    static_assert(sizeof(Element) == sizeof(T1) || (sizeof(Element) == 2 && sizeof(T1) == 1),
                  "Gather: elements of 8 bits become 16, and the others keep their size");
    static_assert(T4::lanes >= T3::lanes, "Gather: there must be an index for each element");
    const aicore::Instruction instruction AICORE_NOTE("Gather");
    aicore::require_mask(instruction, mask);
    T3 result;
    result.clear();
    for (std::uint32_t lane = 0; lane < T3::lanes; ++lane) {
        if (aicore::selects<T3>(mask, lane)) {
            const std::uint64_t at = aicore::index_of(instruction, index, lane);
            const aicore::LoadedBytes loaded(instruction, baseAddr + at, sizeof(T1), sizeof(T1),
                                             &dstReg);
            aicore::put(result, lane * sizeof(Element), loaded, 0, sizeof(T1));
        }
    }
    dstReg = result;
}
template <class T0 = DefaultType, class T1, class T2 = DefaultType, aicore::Register T3,
          aicore::Register T4>
void DataCopyGather(T3& dstReg, __ubuf__ T1* baseAddr, T4& index, MaskReg& mask, AICORE_SITE) {
    Gather(dstReg, baseAddr, index, mask, site);
}

/// Blocks of 32 bytes by their offsets in bytes.
template <class T = DefaultType, aicore::Register U, aicore::Register S>
void GatherB(U& dstReg, __ubuf__ T* baseAddr, S& index, MaskReg& mask, AICORE_SITE) {
    const aicore::Instruction instruction AICORE_NOTE("GatherB");
    aicore::require_mask(instruction, mask);
    for (std::uint32_t block = 0; block < 8; ++block) {
        if (mask.on(block * 4)) {
            const auto* const base = reinterpret_cast<const std::uint8_t*>(baseAddr);
            const std::uint64_t at = aicore::index_of(instruction, index, block);
            aicore::put(dstReg, block * 32,
                        aicore::LoadedBytes(instruction, base + at, 32, 32, &dstReg), 0, 32);
        }
    }
}

template <class T = DefaultType, class U = DefaultType, aicore::Register S, aicore::Register V>
void Scatter(__ubuf__ T* baseAddr, S& srcReg, V& index, MaskReg& mask, AICORE_SITE) {
    // Of elements of 8 bits, those at even places are stored.
    constexpr std::uint32_t step = sizeof(T) == 1 ? 2 : 1;
    constexpr std::uint32_t lanes = S::lanes / step;
    static_assert(sizeof(aicore::ElementOfRegister<S>) == sizeof(T), "Scatter keeps the size");
    static_assert(V::lanes >= lanes, "Scatter: there must be an index for each element");
    const aicore::Instruction instruction AICORE_NOTE("Scatter");
    aicore::require_mask(instruction, mask);
    std::vector<std::uint64_t> stored;
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
        if (mask.on(lane * (256 / lanes))) {
            const std::uint64_t at = aicore::index_of(instruction, index, lane);
            aicore::core->require(std::find(stored.begin(), stored.end(), at) == stored.end(),
                                  "index", "Scatter: the indices must differ from each other",
                                  site);
            stored.push_back(at);
            const T value = srcReg.get(lane * step);
            bool on[sizeof(T)];
            std::fill_n(on, sizeof(T),
                        aicore::require_known(instruction, srcReg.flaw(lane * step)));
            aicore::core->store_register(instruction, baseAddr + at, sizeof(T), sizeof(T),
                                         reinterpret_cast<const std::uint8_t*>(&value), on,
                                         &srcReg);
        }
    }
}
template <class T = DefaultType, class U = DefaultType, aicore::Register S, aicore::Register V>
void DataCopyScatter(__ubuf__ T* baseAddr, S& srcReg, V& index, MaskReg& mask, AICORE_SITE) {
    Scatter(baseAddr, srcReg, index, mask, site);
}

}  // namespace AscendC::Reg

namespace aicore {

/// The 256 bits of a mask from memory.
template <AscendC::Reg::MaskDist dist>
MaskReg load_mask(const Instruction& instruction, const void* from) {
    using AscendC::Reg::MaskDist;
    constexpr std::uint32_t bytes = dist == MaskDist::DIST_NORM ? 32
                                    : dist == MaskDist::DIST_US ? 16
                                                                : 64;
    const LoadedBytes loaded(instruction, from, bytes, bytes == 16 ? 16 : 32, nullptr);
    return moved_bits([&](std::uint32_t bit) {
        const std::uint32_t source = bit * bytes / 32;
        return require_known(instruction, loaded.flaws[source / 8]) &&
               (loaded.bytes[source / 8] >> (source % 8) & 1) != 0;
    });
}

template <AscendC::Reg::MaskDist dist>
void store_mask(const Instruction& instruction, void* to, const MaskReg& mask) {
    constexpr bool packs = dist == AscendC::Reg::MaskDist::DIST_PACK;
    static_assert(packs || dist == AscendC::Reg::MaskDist::DIST_NORM,
                  "a store of a mask takes DIST_NORM or DIST_PACK");
    require_mask(instruction, mask);
    constexpr std::uint32_t bytes = packs ? 16 : 32;
    std::uint8_t values[bytes] = {};
    bool on[bytes];
    std::fill_n(on, bytes, true);
    for (std::uint32_t bit = 0; bit < bytes * 8; ++bit) {
        values[bit / 8] |= static_cast<std::uint8_t>(mask.on(packs ? 2 * bit : bit) << (bit % 8));
    }
    core->store_register(instruction, to, bytes, bytes, values, on, &mask);
}

template <class T>
T* behind(T* address, std::int32_t bytes) {
    return reinterpret_cast<T*>(reinterpret_cast<std::uint8_t*>(address) + bytes);
}

}  // namespace aicore

namespace AscendC::Reg {

#define AICORE_MASK_MOVES(LOAD, STORE)                                                    \
    template <class T, MaskDist dist = MaskDist::DIST_NORM>                               \
    void LOAD(MaskReg& mask, __ubuf__ T* srcAddr, AICORE_SITE) {                          \
        mask = aicore::load_mask<dist>(AICORE_NOTE(#LOAD), srcAddr);                      \
    }                                                                                     \
    template <class T, MaskDist dist = MaskDist::DIST_NORM>                               \
    void LOAD(MaskReg& mask, __ubuf__ T* srcAddr, AddrReg offset, AICORE_SITE) {          \
        mask = aicore::load_mask<dist>(AICORE_NOTE(#LOAD), srcAddr + offset.elements);    \
    }                                                                                     \
    template <class T, PostLiteral postMode, MaskDist dist = MaskDist::DIST_NORM>         \
    void LOAD(MaskReg& mask, __ubuf__ T*& srcAddr, std::int32_t offset, AICORE_SITE) {    \
        static_assert(postMode == PostLiteral::POST_MODE_UPDATE, "use POST_MODE_UPDATE"); \
        mask = aicore::load_mask<dist>(AICORE_NOTE(#LOAD), srcAddr);                      \
        srcAddr = aicore::behind(srcAddr, offset);                                        \
    }                                                                                     \
    template <class T, MaskDist dist = MaskDist::DIST_NORM>                               \
    void STORE(__ubuf__ T* dstAddr, MaskReg& mask, AICORE_SITE) {                         \
        aicore::store_mask<dist>(AICORE_NOTE(#STORE), dstAddr, mask);                     \
    }                                                                                     \
    template <class T, MaskDist dist = MaskDist::DIST_NORM>                               \
    void STORE(__ubuf__ T* dstAddr, MaskReg& mask, AddrReg offset, AICORE_SITE) {         \
        aicore::store_mask<dist>(AICORE_NOTE(#STORE), dstAddr + offset.elements, mask);   \
    }                                                                                     \
    template <class T, PostLiteral postMode, MaskDist dist = MaskDist::DIST_NORM>         \
    void STORE(__ubuf__ T*& dstAddr, MaskReg& mask, std::int32_t offset, AICORE_SITE) {   \
        static_assert(postMode == PostLiteral::POST_MODE_UPDATE, "use POST_MODE_UPDATE"); \
        aicore::store_mask<dist>(AICORE_NOTE(#STORE), dstAddr, mask);                     \
        dstAddr = aicore::behind(dstAddr, offset);                                        \
    }

AICORE_MASK_MOVES(LoadAlign, StoreAlign)
AICORE_MASK_MOVES(DataCopy, DataCopy)

/// The lowest bit of each element, without the bits between them.
template <class T>
void StoreUnAlign(__ubuf__ T*& dstAddr, MaskReg& mask, UnalignRegForStore& ureg, AICORE_SITE) {
    static_assert(sizeof(T) == 2 || sizeof(T) == 4, "a mask is stored for 16 or 32 bits");
    constexpr std::uint32_t bytes = 32 / sizeof(T);
    const aicore::Instruction instruction AICORE_NOTE("StoreUnAlign");
    aicore::require_mask(instruction, mask);
    std::uint8_t values[bytes] = {};
    bool on[bytes];
    std::fill_n(on, bytes, true);
    for (std::uint32_t bit = 0; bit < bytes * 8; ++bit) {
        values[bit / 8] |= static_cast<std::uint8_t>(mask.on(bit * sizeof(T)) << (bit % 8));
    }
    aicore::core->store_register(instruction, dstAddr, bytes, bytes, values, on, &mask);
    ureg.stored = true;
    ureg.site = site;
    dstAddr = aicore::behind(dstAddr, bytes);
}

}  // namespace AscendC::Reg
