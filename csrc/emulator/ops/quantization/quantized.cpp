#include "emulator/ops/quantization/quantized.h"

#include <cstring>

#include "emulator/ops/checks.h"

namespace ascend_emulator {
namespace {

bool is_contiguous(const Tensor& x) { return x.contiguous().impl() == x.impl(); }

Tensor as_bytes(const Tensor& x) { return aten("view.dtype", x.contiguous(), DType::uint8); }

}  // namespace

Tensor column(const Tensor& x) { return aten("unsqueeze", x, -1); }

Tensor unpack_int4(const Tensor& x) {
    if (x.dim() >= 2 && !is_contiguous(x) && is_contiguous(x.transpose(-1, -2))) {
        return unpack_int4(x.transpose(-1, -2)).transpose(-1, -2);
    }
    const Tensor bytes = as_bytes(x);
    IntList sizes = bytes.sizes();
    sizes.back() *= 2;
    Tensor values = full(sizes, Scalar{std::int64_t{0}}, DType::int8);
    const auto* source = static_cast<const std::uint8_t*>(bytes.data());
    auto* target = static_cast<std::int8_t*>(values.data());
    for (Int i = 0; i < bytes.numel(); ++i) {
        target[2 * i] = static_cast<std::int8_t>(((source[i] & 15) ^ 8) - 8);
        target[2 * i + 1] = static_cast<std::int8_t>(((source[i] >> 4) ^ 8) - 8);
    }
    return values;
}

Tensor pack_int4(const Tensor& x) {
    const Tensor values = x.to(DType::int8).contiguous();
    IntList sizes = values.sizes();
    require(!sizes.empty() && sizes.back() % 2 == 0,
            "x must have an even last dimension to be packed into int4");
    sizes.back() /= 2;
    Tensor bytes = full(sizes, Scalar{std::int64_t{0}}, DType::uint8);
    const auto* source = static_cast<const std::int8_t*>(values.data());
    auto* target = static_cast<std::uint8_t*>(bytes.data());
    for (Int i = 0; i < bytes.numel(); ++i) {
        target[i] = static_cast<std::uint8_t>((source[2 * i] & 15) | (source[2 * i + 1] & 15) << 4);
    }
    return bytes;
}

Tensor real_values(const Tensor& x) {
    return x.dtype() == DType::int4 ? unpack_int4(x).to_float() : x.to_float();
}

bool is_encoded_scale(const Tensor& scale) {
    return scale.dtype() == DType::uint64 || scale.dtype() == DType::int64;
}

Tensor decode_scale(const Tensor& scale) {
    if (!is_encoded_scale(scale)) {
        return scale.to_float();
    }
    const Tensor codes = scale.contiguous();
    Tensor factors = full(codes.sizes(), Scalar{0.0}, DType::float32);
    const auto* source = static_cast<const std::uint64_t*>(codes.data());
    auto* target = static_cast<float*>(factors.data());
    for (Int i = 0; i < codes.numel(); ++i) {
        const auto bits = static_cast<std::uint32_t>(source[i]);
        std::memcpy(target + i, &bits, sizeof bits);
    }
    return factors;
}

Tensor decode_offset(const Tensor& codes) {
    const Tensor whole = codes.contiguous();
    Tensor offsets = full(whole.sizes(), Scalar{0.0}, DType::float32);
    const auto* source = static_cast<const std::uint64_t*>(whole.data());
    auto* target = static_cast<float*>(offsets.data());
    for (Int i = 0; i < whole.numel(); ++i) {
        const auto bits = static_cast<std::int64_t>(source[i] >> 37 & 0x1FF);
        target[i] = static_cast<float>((bits ^ 0x100) - 0x100);
    }
    return offsets;
}

Tensor round_by(const Tensor& x, const std::string& mode) {
    if (mode.empty() || mode == "round" || mode == "rint") {
        return aten("round", x);
    }
    if (mode == "floor") {
        return aten("floor", x);
    }
    if (mode == "ceil") {
        return aten("ceil", x);
    }
    if (mode != "trunc") {
        refuse("roundMode must be round, rint, floor, ceil or trunc, got " + mode);
    }
    return aten("trunc", x);
}

Range range_of(DType dtype) {
    switch (dtype) {
        case DType::int8:
            return {-128, 127};
        case DType::uint8:
            return {0, 255};
        case DType::int4:
        case DType::int32:
            return {-8, 7};
        case DType::float8_e4m3fn:
            return {-448, 448};
        case DType::float8_e5m2:
            return {-57344, 57344};
        default:
            not_emulated(std::string("quantization to ") + name_of(dtype));
    }
}

bool is_float8(DType dtype) { return dtype == DType::float8_e4m3fn || dtype == DType::float8_e5m2; }

void check_quantized_dtype(const char* name, DType dtype) {
    const bool is_narrow = dtype == DType::int8 || dtype == DType::int4 || dtype == DType::int32;
    require(
        is_narrow || (is_ascend950() && is_float8(dtype)),
        std::string(name) + " must be int8, int4 or int32 (packed int4), got " + name_of(dtype));
}

Tensor quantized_values(const Tensor& x, DType dtype, const std::string& mode) {
    const Range range = range_of(dtype);
    // If a row is zero, its scale is zero too, and the quotient is not a number.
    const Tensor finite = aten("nan_to_num", x, 0.0, range.max, range.min);
    const Tensor values =
        aten("clamp", is_float8(dtype) ? finite : round_by(finite, mode), range.min, range.max);
    return values.to(dtype == DType::int4 || dtype == DType::int32 ? DType::int8 : dtype);
}

void store_quantized(const Out& y, const Tensor& x, const std::string& mode) {
    if (!y.defined()) {
        return;
    }
    const DType dtype = y.tensor.dtype();
    const Tensor values = quantized_values(x, dtype, mode);
    if (dtype != DType::int4 && dtype != DType::int32) {
        y = values;
        return;
    }
    y = aten("view.dtype", pack_int4(values), dtype);
}

DynamicQuantized quantize_rows(const Tensor& x, DType dtype) {
    const Tensor wide = x.to_float();
    const Tensor scale = aten("amax", aten("abs", wide), IntList{-1}, true) / range_of(dtype).max;
    return {wide / scale, aten("squeeze.dim", scale, -1)};
}

}  // namespace ascend_emulator
