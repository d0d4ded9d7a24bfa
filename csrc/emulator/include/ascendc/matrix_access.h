// How a Matmul object reads and writes its matrices: formats, and where they lie.
#pragma once

#include <vector>

#include "ascendc/matmul_config.h"
#include "ascendc/move.h"
#include "ascendc/vector_cast.h"

namespace aicore {

constexpr std::uint32_t rounded_up(std::uint32_t value, std::uint32_t unit) {
    return (value + unit - 1) / unit * unit;
}

/// A matrix of a Matmul object: in global memory, in the memory of the core, or one value.
template <class T>
struct Matrix {
    AscendC::GlobalTensor<T> global;
    AscendC::LocalTensor<T> local;
    enum class Place : std::uint8_t { none, global, local, scalar } place = Place::none;
    T value{};
    bool transposed = false;

    bool is_in_ub() const {
        return place == Place::local && space_of(local.position()) == Space::ub;
    }
    /// The elements from `index` on, of which `count` are accessed.
    T* span(const Instruction& instruction, std::uint64_t index, std::uint64_t count,
            bool writes) const {
        if (place == Place::global) {
            return static_cast<T*>(global.use(instruction, index, count * sizeof(T), writes));
        }
        local.use(instruction, index * sizeof(T), count * sizeof(T), writes);
        return local.data() + index;
    }
};

/// How a matrix is stored: its rows and columns, and the elements from one row to the next.
struct Stored {
    CubeFormat format;
    std::uint32_t rows;
    std::uint32_t columns;
    std::uint64_t row_stride;  // of formats with rows
    std::uint64_t begin;       // index of the first element
    std::uint32_t c0 = 0;      // columns of a group of the format NZ; 0 for the usual number
};

/// A part of a matrix.
struct Block {
    std::uint32_t row;
    std::uint32_t column;
    std::uint32_t rows;
    std::uint32_t columns;
};

/// Read a part of a stored matrix, and turn it if `turned`: `to` is dense.
template <class T, class Wide>
void read_block(const Instruction& instruction, const Matrix<T>& from, const Stored& stored,
                Block block, bool turned, Wide* to) {
    const auto put = [&](std::uint32_t row, std::uint32_t column, T value) {
        const std::uint64_t at = turned ? std::uint64_t{column} * block.rows + row
                                        : std::uint64_t{row} * block.columns + column;
        to[at] = static_cast<Wide>(widen(value));
    };
    constexpr std::uint32_t c0 = 32 / sizeof(T);
    if (from.place == Matrix<T>::Place::scalar) {
        std::fill_n(to, std::uint64_t{block.rows} * block.columns,
                    static_cast<Wide>(widen(from.value)));
    } else if (stored.format == CubeFormat::NZ) {
        const std::uint64_t group_size = std::uint64_t{rounded_up(stored.rows, 16)} * c0;
        for (std::uint32_t column = 0; column < block.columns; ++column) {
            const std::uint32_t at = block.column + column;
            const std::uint64_t begin = stored.begin + at / c0 * group_size + block.row * c0;
            if (column == 0 || at % c0 == 0) {
                from.span(instruction, begin, std::uint64_t{block.rows} * c0, false);
            }
            const T* const values = from.place == Matrix<T>::Place::global
                                        ? from.span(instruction, begin, c0, false)
                                        : from.local.data() + begin;
            for (std::uint32_t row = 0; row < block.rows; ++row) {
                put(row, column, values[row * c0 + at % c0]);
            }
        }
    } else {
        for (std::uint32_t row = 0; row < block.rows; ++row) {
            const std::uint64_t begin =
                stored.begin + (block.row + row) * stored.row_stride + block.column;
            const T* const values = from.span(instruction, begin, block.columns, false);
            for (std::uint32_t column = 0; column < block.columns; ++column) {
                put(row, column, values[column]);
            }
        }
    }
}

/// Write a dense part into a stored matrix. In global memory, the atomic mode of the core counts.
template <class T>
void write_block(const Instruction& instruction, const Matrix<T>& to, const Stored& stored,
                 Block block, const T* values) {
    const auto store = [&](std::uint64_t index, const T* from, std::uint64_t count) {
        if (to.place == Matrix<T>::Place::global) {
            const std::uint64_t bytes = count * sizeof(T);
            void* const target = to.global.use(instruction, index, bytes, true, from);
            core->store_global(target, from, bytes, element_of<T>());
        } else {
            std::copy_n(from, count, to.span(instruction, index, count, true));
        }
    };
    if (stored.format != CubeFormat::NZ) {
        for (std::uint32_t row = 0; row < block.rows; ++row) {
            store(stored.begin + (block.row + row) * stored.row_stride + block.column,
                  values + std::uint64_t{row} * block.columns, block.columns);
        }
        return;
    }
    constexpr std::uint32_t most = 32;
    const std::uint32_t usual = sizeof(T) == 1 ? most : 16;
    const std::uint32_t c0 = stored.c0 != 0 ? stored.c0 : usual;
    const std::uint64_t group_size = std::uint64_t{rounded_up(stored.rows, 16)} * c0;
    for (std::uint32_t first = 0; first < block.columns; first += c0) {
        for (std::uint32_t row = 0; row < block.rows; ++row) {
            T line[most] = {};
            const std::uint32_t count = std::min(c0, block.columns - first);
            std::copy_n(values + std::uint64_t{row} * block.columns + first, count, line);
            const std::uint32_t column = block.column + first;
            store(stored.begin + column / c0 * group_size + std::uint64_t{block.row + row} * c0 +
                      column % c0,
                  line, c0);
        }
    }
}

}  // namespace aicore
