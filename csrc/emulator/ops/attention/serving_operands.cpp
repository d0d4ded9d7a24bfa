#include "emulator/ops/attention/serving_operands.h"

#include <stdexcept>

namespace ascend_emulator {

Rows rows_of(const char* name, const Tensor& x, const String& layout, Int heads) {
    require_serving(
        x.dtype() == DType::float16 || x.dtype() == DType::bfloat16,
        std::string(name) + ": expected float16 or bfloat16, found " + name_of(x.dtype()));
    require_serving(x.contiguous().impl() == x.impl(), std::string(name) + ": expected contiguous");
    const bool three = layout == "BSH" || layout == "TND";
    require_serving(x.dim() == (three ? 3 : 4), std::string(name) + ": expected " + layout);
    Rows rows;
    rows.values = x.to_float().contiguous();
    rows.heads = heads;
    rows.sequences = layout == "TND" ? 1 : x.size(0);
    rows.length = layout == "TND" ? x.size(0) : x.size(layout == "BNSD" ? 2 : 1);
    rows.size = layout == "BSH" ? x.size(2) / heads : x.size(-1);
    const Int found = layout == "BSH"    ? x.size(2) / rows.size
                      : layout == "BNSD" ? x.size(1)
                                         : x.size(-2);
    require_serving(found == heads && (layout != "BSH" || heads * rows.size == x.size(2)),
                    std::string(name) + ": expected " + std::to_string(heads) + " heads");
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
    // [blocks, heads, block size, head size], or with heads and head size in one dimension.
    require_serving(x.dim() == 3 || x.dim() == 4, std::string(name) + ": expected a cache");
    rows_ = rows_of(name, x, x.dim() == 4 ? "BNSD" : "BSH", a.key_heads);
    require_serving(rows_.length == a.block_size, "expected the block size " +
                                                      std::to_string(rows_.length) + ", found " +
                                                      std::to_string(a.block_size));
    require_serving(x.dim() == 4 || x.size(2) <= 65535,
                    std::string(name) + ": expected at most 65535 elements a token");
    require_serving(x.dim() == 3 || (a.layout != "BSND" && a.layout != "BSH"),
                    std::string(name) + ": expected [blocks, block size, H] in layout " + a.layout);
    require_serving(a.block_table.dim() == 2 && a.block_table.dtype() == DType::int32,
                    "block table: expected int32 [B, blocks]");
    const Tensor wide = a.block_table.to(DType::int64).contiguous();
    const auto* first = static_cast<const Int*>(wide.data());
    blocks_.assign(first, first + wide.numel());
    columns_ = a.block_table.size(1);
}

const float* Cache::row(Int sequence, Int head, Int position) const {
    if (!paged_) {
        return rows_.row(sequence, head, position);
    }
    const Int block = blocks_[at(sequence * columns_ + position / rows_.length)];
    require_serving(block >= 0 && block < rows_.sequences,
                    "block table: expected blocks of 0 to " + std::to_string(rows_.sequences - 1) +
                        ", found " + std::to_string(block) + " of sequence " +
                        std::to_string(sequence));
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
    require_serving(mask.dtype() == DType::boolean || mask.dtype() == DType::uint8 ||
                        mask.dtype() == DType::int8,
                    "mask: expected bool, int8 or uint8");
    IntList sizes = mask.sizes();
    if (sizes.size() == 2 && queries == 1) {
        sizes = {sizes[0], 1, 1, sizes[1]};
    } else if (sizes.size() == 2) {
        sizes = {1, 1, sizes[0], sizes[1]};
    } else if (sizes.size() == 3) {
        sizes.insert(sizes.begin() + 1, 1);
    }
    require_serving(sizes.size() == 4 && (sizes[0] == sequences || sizes[0] == 1) &&
                        sizes[1] == 1 && sizes[2] == queries && sizes[3] >= keys,
                    "mask: expected it to be [B, 1, queries, keys] or less of that");
    plane.values_ = mask.to_float().contiguous();
    plane.sizes_ = sizes;
    return plane;
}

Plane Plane::of_bias(const ServingAttention& a, Int sequences, Int queries, Int keys) {
    Plane plane;
    if (!a.bias.defined()) {
        return plane;
    }
    require_serving(a.bias.dtype() == a.query.dtype(), "bias: expected the dtype of query");
    const IntList sizes = a.bias.sizes();
    require_serving(sizes.size() == 4 && (sizes[0] == sequences || sizes[0] == 1) &&
                        sizes[1] == a.heads && sizes[2] == queries && sizes[3] >= keys,
                    "bias: expected [B or 1, heads, queries, keys]");
    plane.values_ = a.bias.to_float().contiguous();
    plane.sizes_ = sizes;
    return plane;
}

void check_compressed(const Tensor& mask) {
    constexpr Int side = 2048;
    require_serving(mask.defined() && mask.numel() == side * side,
                    "sparse modes 2 and 3: expected a mask of [2048, 2048]");
    const Tensor wanted = aten("triu", full({side, side}, Scalar{1.0}, DType::float32), Int{1});
    const Tensor wrong = aten("abs", mask.to_float().reshape({side, side}) - wanted);
    require_serving(wrong.reshape({-1}).sum({0}).item() == 0,
                    "sparse modes 2 and 3: expected a mask of ones above its diagonal");
}

}  // namespace ascend_emulator
