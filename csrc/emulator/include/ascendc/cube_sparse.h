// Products of the cube unit whose second matrix has 2 values in each 4 of its rows.
#pragma once

#include "ascendc/cube.h"

namespace aicore {

constexpr std::uint32_t sparse_fractal = 512;        // bytes of the dense values
constexpr std::uint32_t sparse_index_fractal = 128;  // bytes of the indices, 2 bits for each value
constexpr std::uint8_t no_sparse_index = 0xff;

/// The indices that belong to a tensor in L0B.
inline std::uint8_t* sparse_indices_of(std::uint32_t address) {
    if (core->sparse_indices.empty()) {
        core->sparse_indices.assign(Core::bytes(Space::l0b) / 4, no_sparse_index);
    }
    return core->sparse_indices.data() + (address - Core::base(Space::l0b)) / 4;
}

/// Which of 4 elements the two values of a group belong to.
struct SparsePlaces {
    std::uint32_t first;
    std::uint32_t second;
};
inline SparsePlaces sparse_places(const std::uint8_t* indices, std::uint32_t group, Site site) {
    const std::uint32_t pair = indices[group / 2] >> (group % 2 * 4) & 15U;
    const std::uint32_t first = pair & 3U;
    const std::uint32_t second = pair >> 2;
    if (first == 3 || second == 3) {
        core->end(
            "range",
            "MmadWithSparse: an index must be 0 to 2, got 3; LoadDataWithSparse must load the "
            "indices with the values of filter",
            site);
    }
    return {first, std::max(first, second + 1)};
}

inline void require_sparse_shape(const AscendC::MmadParams& shape, Site site) {
    core->require(shape.m <= 4095 && shape.n <= 4095 && shape.k <= 4095, "range",
                  "MmadWithSparse: m, n and k must be at most 4095", site);
    if (shape.k % 4 != 0 || shape.cmatrixSource) {
        core->end("unsupported",
                  "MmadWithSparse: k must be a multiple of 4, and cmatrixSource false, on "
                  "the emulated core",
                  site);
    }
}

/// One fractal of the product: 16 rows of `first`, whose fractals follow each other, and 32 dense
/// values of each of 16 columns.
inline void multiply_sparse_fractal(std::int32_t* result, const std::int8_t* first,
                                    const std::int8_t* values, const std::uint8_t* indices,
                                    std::uint32_t groups, Site site) {
    constexpr std::uint32_t width = 32;  // of a fractal of `first`
    for (std::uint32_t column = 0; column < fractal_side; ++column) {
        for (std::uint32_t group = 0; group < groups; ++group) {
            const SparsePlaces places = sparse_places(indices + column * 8, group, site);
            const std::int8_t* const pair = values + column * width + group * 2;
            const std::int8_t* const source =
                first + group * 4 / width * fractal_side * width + group * 4 % width;
            for (std::uint32_t row = 0; row < fractal_side; ++row) {
                result[row * fractal_side + column] +=
                    source[row * width + places.first] * pair[0] +
                    source[row * width + places.second] * pair[1];
            }
        }
    }
}

}  // namespace aicore

namespace AscendC {

/// L1 to L0B: the dense values of a sparse matrix, and their indices.
template <class T, class U>
void LoadDataWithSparse(const LocalTensor<T>& dst, const LocalTensor<T>& src,
                        const LocalTensor<U>& idx, const LoadData2DParams& loadDataParam,
                        aicore::Site site = aicore::Site::here()) {
    static_assert(std::is_same_v<T, std::int8_t> && std::is_same_v<U, std::uint8_t>,
                  "LoadDataWithSparse: dst and src must be int8_t, and idx uint8_t");
    static_assert(__NPU_ARCH__ == 2201 || sizeof(T) == 0,
                  "LoadDataWithSparse exists on dav-2201 only");
    const aicore::Instruction instruction{"LoadDataWithSparse", aicore::Pipe::mte1, site};
    aicore::core->require(aicore::space_of(dst.position()) == aicore::Space::l0b &&
                              aicore::space_of(src.position()) == aicore::Space::l1 &&
                              aicore::space_of(idx.position()) == aicore::Space::l1,
                          "position", "LoadDataWithSparse: dst must be in L0B, src and idx in L1",
                          site);
    dst.require_aligned(instruction, aicore::sparse_fractal);
    const std::uint64_t count = loadDataParam.repeatTimes;
    const std::uint64_t from = std::uint64_t{loadDataParam.startIndex} * aicore::sparse_fractal;
    const std::uint64_t index_from = from / 4;
    src.use(instruction, from, count * aicore::sparse_fractal, false);
    idx.use(instruction, index_from, count * aicore::sparse_index_fractal, false);
    dst.use(instruction, 0, count * aicore::sparse_fractal, true);
    std::copy_n(src.data() + from, count * aicore::sparse_fractal, dst.data());
    std::copy_n(idx.data() + index_from, count * aicore::sparse_index_fractal,
                aicore::sparse_indices_of(dst.address()));
}

/// `c = a @ b` or `c += a @ b`, with 2 values in each 4 rows of b, as LoadDataWithSparse loads it.
template <class C, class A>
void MmadWithSparse(const LocalTensor<C>& dst, const LocalTensor<A>& fm,
                    const LocalTensor<A>& filter, const MmadParams& mmadParams,
                    aicore::Site site = aicore::Site::here()) {
    static_assert(std::is_same_v<C, std::int32_t> && std::is_same_v<A, std::int8_t>,
                  "MmadWithSparse: dst must be int32_t, fm and filter int8_t");
    static_assert(__NPU_ARCH__ == 2201 || sizeof(A) == 0, "MmadWithSparse exists on dav-2201 only");
    const aicore::Instruction instruction{"MmadWithSparse", aicore::Pipe::m, site};
    const MmadParams& shape = mmadParams;
    aicore::require_sparse_shape(shape, site);
    if (shape.m == 0 || shape.n == 0 || shape.k == 0) {
        return;
    }
    const std::uint32_t rows = aicore::fractals(shape.m, 16);
    const std::uint32_t columns = aicore::fractals(shape.n, 16);
    const std::uint32_t depth = aicore::fractals(shape.k, 32);       // of a
    const std::uint32_t dense = aicore::fractals(shape.k / 2U, 32);  // of b
    const std::uint64_t result_bytes = std::uint64_t{rows} * columns * 1024;
    aicore::core->add_product(instruction, shape.m, shape.n, shape.k / 2U, 1);
    fm.use(instruction, 0, std::uint64_t{rows} * depth * 512, false);
    filter.use(instruction, 0, std::uint64_t{columns} * dense * 512, false);
    if (!shape.cmatrixInitVal) {
        dst.use(instruction, 0, result_bytes, false);
    }
    dst.use(instruction, 0, result_bytes, true);
    const std::uint8_t* const indices = aicore::sparse_indices_of(filter.address());
    for (std::uint32_t column = 0; column < columns; ++column) {
        for (std::uint32_t row = 0; row < rows; ++row) {
            C* const result = dst.data() + (column * rows + row) * 256;
            if (shape.cmatrixInitVal) {
                std::fill_n(result, 256, C(0));
            }
            for (std::uint32_t step = 0; step < dense; ++step) {
                const std::uint32_t fractal = step * columns + column;
                aicore::multiply_sparse_fractal(result, fm.data() + (row * depth + step * 2) * 512,
                                                filter.data() + fractal * aicore::sparse_fractal,
                                                indices + fractal * aicore::sparse_index_fractal,
                                                std::min(16U, shape.k / 4U - step * 16), site);
            }
        }
    }
}

}  // namespace AscendC
