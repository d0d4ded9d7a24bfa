#include "emulator/ops/attention/serving_operands.h"

#include "emulator/ops/checks.h"

namespace ascend_emulator {

Rows rows_of(const char* name, const Tensor& x, const String& layout, Int heads) {
    const std::string argument = name;
    require(x.dtype() == DType::float16 || x.dtype() == DType::bfloat16,
            argument + " must be float16 or bfloat16, got " + name_of(x.dtype()));
    require(x.contiguous().impl() == x.impl(), argument + " must be contiguous");
    const Int rank = layout == "BSH" || layout == "TND" ? 3 : 4;
    require(x.dim() == rank, argument + " must have the " + std::to_string(rank) +
                                 " dimensions of layout " + layout + ", got " +
                                 std::to_string(x.dim()));
    Rows rows;
    rows.values = x.to_float().contiguous();
    rows.heads = heads;
    rows.sequences = layout == "TND" ? 1 : x.size(0);
    rows.length = layout == "TND" ? x.size(0) : x.size(layout == "BNSD" ? 2 : 1);
    rows.size = layout == "BSH" ? x.size(2) / heads : x.size(-1);
    const Int found = layout == "BSH"    ? x.size(2) / rows.size
                      : layout == "BNSD" ? x.size(1)
                                         : x.size(-2);
    require(
        found == heads && (layout != "BSH" || heads * rows.size == x.size(2)),
        argument + " must have " + std::to_string(heads) + " heads, got " + std::to_string(found));
    const bool heads_first = layout == "BNSD";
    rows.head_stride = heads_first ? rows.length * rows.size : rows.size;
    rows.row_stride = heads_first ? rows.size : heads * rows.size;
    rows.sequence_stride = layout == "TND" ? 0 : rows.length * heads * rows.size;
    return rows;
}

Cache::Cache(const char* name, const ServingAttention& a, const Tensor& x)
    : paged_(a.block_table.defined()) {
    if (!paged_) {
        rows_ = rows_of(name, x, a.layout, a.key_heads);
        return;
    }
    // [blocks, heads, block size, head_dim], or with heads and head_dim in one dimension.
    const std::string argument = name;
    require(x.dim() == 3 || x.dim() == 4,
            argument + " must be a cache of 3 or 4 dimensions, got " + std::to_string(x.dim()));
    rows_ = rows_of(name, x, x.dim() == 4 ? "BNSD" : "BSH", a.key_heads);
    require(rows_.length == a.block_size, "blockSize must be that of the cache, " +
                                              std::to_string(rows_.length) + ", got " +
                                              std::to_string(a.block_size));
    require(x.dim() == 4 || x.size(2) <= 65535,
            argument + " must have at most 65535 elements per token, got " +
                std::to_string(x.size(-1)));
    require(x.dim() == 3 || (a.layout != "BSND" && a.layout != "BSH"),
            argument + " must be [blocks, block size, H] in layout " + a.layout);
    require(a.block_table.dim() == 2 && a.block_table.dtype() == DType::int32,
            "blockTable must be int32 and [B, blocks]");
    const Tensor wide = a.block_table.to(DType::int64).contiguous();
    const auto* first = static_cast<const Int*>(wide.data());
    blocks_.assign(first, first + wide.numel());
    columns_ = a.block_table.size(1);
}

const float* Cache::row(Int sequence, Int head, Int position) const {
    if (!paged_) {
        return rows_.row(sequence, head, position);
    }
    const Int block = blocks_[as_index(sequence * columns_ + position / rows_.length)];
    if (block < 0 || block >= rows_.sequences) {
        refuse("blockTable must hold blocks of 0 to " + std::to_string(rows_.sequences - 1) +
               ", got " + std::to_string(block) + " for sequence " + std::to_string(sequence));
    }
    return rows_.row(block, head, position % rows_.length);
}

float Plane::get(Int sequence, Int head, Int query, Int key) const {
    Int offset = 0;
    const Int index[] = {sequence, head, query, key};
    for (std::size_t i = 0; i < 4; ++i) {
        offset = offset * sizes_[i] + (sizes_[i] == 1 ? 0 : index[i]);
    }
    return static_cast<const float*>(values_.data())[offset];
}

Plane Plane::of_mask(const Tensor& mask, Int sequences, Int queries, Int keys) {
    Plane plane;
    if (!mask.defined()) {
        return plane;
    }
    require(mask.dtype() == DType::boolean || mask.dtype() == DType::uint8 ||
                mask.dtype() == DType::int8,
            std::string("attenMask must be bool, int8 or uint8, got ") + name_of(mask.dtype()));
    IntList sizes = mask.sizes();
    if (sizes.size() == 2 && queries == 1) {
        sizes = {sizes[0], 1, 1, sizes[1]};
    } else if (sizes.size() == 2) {
        sizes = {1, 1, sizes[0], sizes[1]};
    } else if (sizes.size() == 3) {
        sizes.insert(sizes.begin() + 1, 1);
    }
    require(
        sizes.size() == 4 && (sizes[0] == sequences || sizes[0] == 1) && sizes[1] == 1 &&
            sizes[2] == queries && sizes[3] >= keys,
        "attenMask must be [B or 1, 1, queries, keys], [B or 1, queries, keys] or [queries, keys]");
    plane.values_ = mask.to_float().contiguous();
    plane.sizes_ = sizes;
    return plane;
}

Plane Plane::of_bias(const ServingAttention& a, Int sequences, Int queries, Int keys) {
    Plane plane;
    if (!a.bias.defined()) {
        return plane;
    }
    require(a.bias.dtype() == a.query.dtype(), "pseShift must have the dtype of query");
    const IntList sizes = a.bias.sizes();
    require(sizes.size() == 4 && (sizes[0] == sequences || sizes[0] == 1) && sizes[1] == a.heads &&
                sizes[2] == queries && sizes[3] >= keys,
            "pseShift must be [B or 1, heads, queries, keys]");
    plane.values_ = a.bias.to_float().contiguous();
    plane.sizes_ = sizes;
    return plane;
}

void check_compressed(const Tensor& mask) {
    constexpr Int side = 2048;
    require(mask.defined() && mask.numel() == side * side,
            "attenMask must be [2048, 2048] in sparse modes 2 to 4");
    const Tensor wanted = aten("triu", full({side, side}, Scalar{1.0}, DType::float32), Int{1});
    const Tensor wrong = aten("abs", mask.to_float().reshape({side, side}) - wanted);
    require(wrong.reshape({-1}).sum({0}).item() == 0,
            "attenMask must be 1 above its diagonal and 0 elsewhere in sparse modes 2 to 4");
}

}  // namespace ascend_emulator
