// Rotary embedding of queries and keys, with cosines and sines from a cache.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

enum CacheMode : Int { segmented = 0, interleaved = 1 };

/// The angles of several axes, [axes, tokens, width], as one, [tokens, width].
Tensor merged(const Tensor& angles, const Ints& section, Int mode) {
    const auto axis = [&](Int i) { return aten("select.int", angles, 0, i); };
    if (mode == interleaved) {
        const Tensor all = aten("clone", axis(0));
        for (Int i = 1; i < 3; ++i) {
            const Int end = section[1] * 3;
            assign(columns(all, i, end, 3), columns(axis(i), i, end, 3));
        }
        return all;
    }
    TensorList parts;
    Int begin = 0;
    for (std::size_t i = 0; i < section.size(); ++i) {
        parts.push_back(columns(axis(static_cast<Int>(i)), begin, begin + section[i]));
        begin += section[i];
    }
    return aten("cat", parts, -1);
}

struct RopeCache {
    Tensor positions;
    Tensor cache;
    Ints section;
    Int head_size;
    bool is_neox;
    Int mode;

    void check(const Tensor& query, const Tensor& key) const {
        require(mode == segmented || mode == interleaved,
                "cacheMode must be 0 or 1, got " + std::to_string(mode));
        require(positions.dim() == 1 || static_cast<Int>(section.size()) == positions.size(0),
                "mropeSection must have one element per row of positions");
        require(mode == segmented || section.size() == 3,
                "mropeSection must have 3 elements with cacheMode 1");
        for (const Tensor* x : {&query, &key}) {
            require(x->dim() == 2 && x->size(1) % head_size == 0,
                    "query and key must be [tokens, heads * headSize]");
        }
    }
    /// Cosines, or sines with `second`: [tokens, 1, width].
    Tensor angles(bool second) const {
        const Int width = cache.size(1) / 2;
        const Tensor found =
            aten("index_select", cache.to_float(), 0, positions.to(DType::int64).reshape({-1}));
        const Tensor half = columns(found, second ? width : 0, second ? 2 * width : width);
        const Int tokens = positions.size(-1);
        return (positions.dim() == 1 ? half
                                     : merged(half.reshape({-1, tokens, width}), section, mode))
            .reshape({tokens, 1, width});
    }
    Tensor rotated(const Tensor& x) const {
        const Int width = cache.size(1);
        const Tensor heads = x.to_float().reshape({x.size(0), -1, head_size});
        const Tensor first = is_neox ? columns(heads, 0, width / 2) : columns(heads, 0, width, 2);
        const Tensor second =
            is_neox ? columns(heads, width / 2, width) : columns(heads, 1, width, 2);
        const Tensor cos = angles(false);
        const Tensor sin = angles(true);
        const TensorList turned = {first * cos - second * sin, second * cos + first * sin};
        const Tensor joined = is_neox ? aten("cat", turned, -1)
                                      : aten("flatten.using_ints", aten("stack", turned, -1), -2);
        return aten("cat", TensorList{joined, columns(heads, width, head_size)}, -1)
            .reshape(x.sizes());
    }
};

}  // namespace

ACLNN_CHECKED(aclnnRopeWithSinCosCache, Tensor positions, Tensor query, Tensor key,
              Tensor cosSinCache, OptionalInts mropeSection, Int headSize, bool isNeoxStyle,
              Out queryOut, Out keyOut) {
    const RopeCache rope = {positions, cosSinCache, mropeSection.values.value_or(Ints()),
                            headSize,  isNeoxStyle, segmented};
    rope.check(query, key);
    queryOut = rope.rotated(query);
    keyOut = rope.rotated(key);
}
ACLNN_CHECKED(aclnnRopeWithSinCosCacheV2, Tensor positions, Tensor query, Tensor key,
              Tensor cosSinCache, OptionalInts mropeSection, Int headSize, bool isNeoxStyle,
              Int cacheMode, Out queryOut, Out keyOut) {
    const RopeCache rope = {positions, cosSinCache, mropeSection.values.value_or(Ints()),
                            headSize,  isNeoxStyle, cacheMode};
    rope.check(query, key);
    queryOut = rope.rotated(query);
    keyOut = rope.rotated(key);
}
