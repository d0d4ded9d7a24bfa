// How a Matmul object reads its operands, multiplies a block and stores it.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "ascendc/fixpipe.h"
#include "ascendc/kernel_launch.h"
#include "ascendc/matmul_order.h"
#include "ascendc/matrix_access.h"
#include "ascendc/product.h"

namespace aicore {

constexpr const MatmulConfig& options_of(const MatmulConfig& config) { return config; }
constexpr const MatmulConfig& options_of(const AscendC::MatmulApiStaticTiling& tiling) {
    return tiling.cfg;
}
constexpr const TCubeTiling* static_tiling_of(const MatmulConfig& /*config*/) { return nullptr; }
constexpr const TCubeTiling* static_tiling_of(const AscendC::MatmulApiStaticTiling& tiling) {
    return &tiling;
}

}  // namespace aicore

namespace AscendC {

/// The type in which products of T are summed.
template <class T>
struct GetMmDstType {
    using Type = std::conditional_t<std::is_integral_v<T>, std::int32_t, float>;
};

/// The part of a Matmul object that reads, multiplies and stores blocks.
template <class A_TYPE, class B_TYPE, class C_TYPE, class BIAS_TYPE, const auto& MM_CFG>
class MatmulBlocks {
  protected:
    using A = typename A_TYPE::T;
    using B = typename B_TYPE::T;
    using C = typename C_TYPE::T;
    using Bias = typename BIAS_TYPE::T;
    using Wide = std::conditional_t<std::is_integral_v<A>, std::int32_t, float>;
    using Site = aicore::Site;
    static constexpr const MatmulConfig& options = aicore::options_of(MM_CFG);
    static_assert(!options.isPartialOutput && !options.intraBlockPartSum,
                  "isPartialOutput and intraBlockPartSum of a MatmulConfig are not emulated");
    static_assert(!options.isEnableChannelSplit ||
                      (C_TYPE::format == CubeFormat::NZ && std::is_same_v<C, float>),
                  "isEnableChannelSplit requires a result of float in the format NZ");
    /// Columns of a group of a result in the format NZ; 0 for the usual number.
    static constexpr std::uint32_t result_c0 = options.isEnableChannelSplit ? 8 : 0;

    using Stored = aicore::Stored;
    /// Elements from one matrix of a batch to the next; 0 if they follow one another.
    struct BatchStrides {
        std::uint32_t a, b, c;
    };
    /// Where the matrices of one product begin, and the elements from row to row; 0 for org shapes.
    struct Product {
        std::uint64_t a = 0, b = 0, c = 0, bias = 0;
        std::uint64_t a_row = 0, b_row = 0, c_row = 0;
    };

    template <class T, class Tensor>
    static void place(aicore::Matrix<T>& matrix, const Tensor& tensor, bool transposed) {
        if constexpr (std::is_same_v<Tensor, GlobalTensor<T>>) {
            matrix.global = tensor;
            matrix.place = aicore::Matrix<T>::Place::global;
        } else {
            matrix.local = tensor;
            matrix.place = aicore::Matrix<T>::Place::local;
        }
        matrix.transposed = transposed;
    }
    template <class T>
    static void fill(aicore::Matrix<T>& matrix, T value) {
        matrix.value = value;
        matrix.place = aicore::Matrix<T>::Place::scalar;
    }
    template <class Tensor>
    static aicore::Matrix<C> result(const Tensor& tensor) {
        aicore::Matrix<C> matrix;
        place(matrix, tensor, false);
        return matrix;
    }

    static std::uint32_t number(std::int32_t value) { return static_cast<std::uint32_t>(value); }
    std::uint32_t base_m() const { return number(tiling_.baseM > 0 ? tiling_.baseM : m_); }
    std::uint32_t base_n() const { return number(tiling_.baseN > 0 ? tiling_.baseN : n_); }
    bool goes_down_first() const {
        return options.iterateOrder == ::IterateOrder::UNDEF
                   ? tiling_.iterateOrder == 0
                   : options.iterateOrder == ::IterateOrder::ORDER_M;
    }

    bool next(bool adds, Site site) {
        const std::uint32_t rows = (number(m_) + base_m() - 1) / base_m();
        const std::uint32_t columns = (number(n_) + base_n() - 1) / base_n();
        if (!begun_) {
            begun_ = true;
            step_ = 0;
        } else if (!adds) {
            ++step_;
        }
        if (step_ >= rows * columns) {
            begun_ = false;
            return false;
        }
        const aicore::BlockPosition at =
            aicore::block_at(step_, rows, columns, goes_down_first(), tiling_.stepM, tiling_.stepN);
        block_ = {at.row * base_m(), at.column * base_n(),
                  std::min(base_m(), number(m_) - at.row * base_m()),
                  std::min(base_n(), number(n_) - at.column * base_n())};
        compute({}, adds, site);
        return true;
    }
    /// Begin to get a block: of an asynchronous Iterate, it is computed here.
    void advance(Site site) {
        if (asynchronous_) {
            next(false, site);
        } else {
            wait_for_cube_core();
        }
    }
    /// An asynchronous Iterate leaves its blocks in the workspace, one after another.
    void require_workspace(Site site) const {
        if (asynchronous_ && asks_cube_core() && workspace_.GetPhyAddr() == nullptr) {
            aicore::core->end("matmul",
                              "GetTensorC after Iterate<false> takes the blocks from a workspace; "
                              "SetWorkspace must come before Iterate<false>",
                              site);
        }
    }

    /// Whether a vector core calls, whose cube core multiplies on a device.
    static bool asks_cube_core() { return aicore::core->mixed && !aicore::core->is_cube(); }
    /// Wait for the answer of the cube core. The message to it leaves on MTE3, so MTE3 has ended
    /// what it was given before.
    static void wait_for_cube_core() {
        if (!asks_cube_core()) {
            return;
        }
        const aicore::Clock sent = aicore::core->snapshot(aicore::Pipe::mte3);
        for (const aicore::Pipe pipe : {aicore::Pipe::s, aicore::Pipe::v, aicore::Pipe::mte2}) {
            aicore::core->wait_for(pipe, sent);
        }
    }
    /// Let the vector unit wait for what MTE2 has copied to UB.
    static void wait_for_copy() {
        aicore::core->wait_for(aicore::Pipe::v, aicore::core->snapshot(aicore::Pipe::mte2));
    }
    /// The move of an operand. MTE3 takes it from UB when the vector unit has ended.
    template <class T>
    static aicore::Instruction load_of(const aicore::Matrix<T>& from, Site site) {
        if (!from.is_in_ub()) {
            return {"Matmul", aicore::Pipe::mte2, site};
        }
        aicore::core->wait_for(aicore::Pipe::mte3, aicore::core->snapshot(aicore::Pipe::v));
        return {"Matmul", aicore::Pipe::mte3, site};
    }

    /// The product of the block into values_.
    void compute(const Product& product, bool adds, Site site) {
        const auto depth = number(k_);
        first_.resize(std::size_t{block_.rows} * depth);
        second_.resize(std::size_t{block_.columns} * depth);
        const aicore::Instruction loads_a = load_of(a_, site);
        read<A_TYPE>(loads_a, a_, {block_.row, 0, block_.rows, depth}, number(org_m_),
                     number(org_ka_), number(m_), depth, product.a, product.a_row, first_.data());
        const aicore::Instruction loads_b = load_of(b_, site);
        read<B_TYPE>(loads_b, b_, {0, block_.column, depth, block_.columns}, number(org_kb_),
                     number(org_n_), depth, number(n_), product.b, product.b_row, second_.data());
        if (!adds) {
            values_.assign(std::size_t{block_.rows} * block_.columns, Wide(0));
            add_bias(load_of(bias_, site), product.bias);
        }
        const aicore::Instruction multiplies{"Matmul", aicore::Pipe::m, site};
        aicore::core->follow(aicore::Pipe::m, loads_a.pipe);
        aicore::core->follow(aicore::Pipe::m, loads_b.pipe);
        aicore::core->add_product(multiplies, block_.rows, block_.columns, depth, sizeof(A));
        aicore::add_product(first_.data(), second_.data(), values_.data(), block_.rows,
                            block_.columns, depth);
    }
    void add_bias(const aicore::Instruction& reads, std::uint64_t begin) {
        if (bias_.place == aicore::Matrix<Bias>::Place::none) {
            return;
        }
        const Bias* const bias = bias_.span(reads, begin + block_.column, block_.columns, false);
        for (std::uint32_t row = 0; row < block_.rows; ++row) {
            for (std::uint32_t column = 0; column < block_.columns; ++column) {
                values_[std::size_t{row} * block_.columns + column] +=
                    static_cast<Wide>(aicore::widen(bias[column]));
            }
        }
    }

    /// Read a block of a matrix whose shape in global memory is `org` and on the core `single`.
    template <class TYPE, class T>
    void read(const aicore::Instruction& instruction, const aicore::Matrix<T>& from,
              aicore::Block block, std::uint32_t org_rows, std::uint32_t org_columns,
              std::uint32_t single_rows, std::uint32_t single_columns, std::uint64_t begin,
              std::uint64_t row_stride, Wide* to) {
        constexpr CubeFormat format = TYPE::format;
        static_assert(format == CubeFormat::ND || format == CubeFormat::NZ ||
                          format == CubeFormat::ND_ALIGN || format == CubeFormat::VECTOR ||
                          format == CubeFormat::SCALAR || format == CubeFormat::COLUMN_MAJOR,
                      "Matmul of this CubeFormat is not emulated; see "
                      "docs/how-to/add-an-ascend-c-function.md");
        const bool is_global = from.place == aicore::Matrix<T>::Place::global;
        std::uint32_t rows = is_global ? org_rows : single_rows;
        std::uint32_t columns = is_global ? org_columns : single_columns;
        const bool turned = from.transposed != (format == CubeFormat::COLUMN_MAJOR);
        if (turned) {
            std::swap(rows, columns);
            std::swap(block.row, block.column);
            std::swap(block.rows, block.columns);
        }
        std::uint64_t stride = row_stride != 0 ? row_stride : columns;
        // A row in UB begins at a block of 32 bytes.
        if (format == CubeFormat::ND_ALIGN || (from.is_in_ub() && row_stride == 0)) {
            stride = aicore::rounded_up(static_cast<std::uint32_t>(stride), 32 / sizeof(T));
        }
        const CubeFormat kept = format == CubeFormat::NZ ? CubeFormat::NZ : CubeFormat::ND;
        aicore::read_block(instruction, from, Stored{kept, rows, columns, stride, begin}, block,
                           turned, to);
    }

    /// The block's values as the result's type.
    std::vector<C> converted(const aicore::Instruction& reads) const {
        std::vector<C> out(values_.size());
        for (std::size_t index = 0; index < values_.size(); ++index) {
            const auto column = static_cast<std::uint32_t>(index % block_.columns);
            if constexpr (std::is_same_v<C, std::int32_t>) {
                out[index] = static_cast<C>(values_[index]);
            } else {
                float value = static_cast<float>(values_[index]);
                if (quantizes_) {
                    const std::uint64_t word =
                        factors_.place == aicore::Matrix<std::uint64_t>::Place::scalar
                            ? factors_.value
                            : *factors_.span(reads, block_.column + column, 1, false);
                    value *= aicore::scale_of(word);
                }
                value = options.enableRelu && value < 0 ? 0 : value;
                out[index] = aicore::nearest<C>(value);
            }
        }
        return out;
    }

    /// Store the block in the matrix of the result, or alone from its begin on.
    void put(const aicore::Matrix<C>& to, std::uint8_t atomic, const Stored& stored,
             aicore::Block at, Site site) {
        const aicore::Instruction reads{"Matmul", aicore::Pipe::mte2, site};
        // A result in UB comes through global memory, so MTE2 brings it.
        const aicore::Instruction writes{
            "Matmul",
            to.place == aicore::Matrix<C>::Place::global ? aicore::Pipe::fix : aicore::Pipe::mte2,
            site};
        const std::vector<C> values = converted(reads);
        aicore::core->follow(writes.pipe, aicore::Pipe::m);
        const aicore::Atomic before = aicore::core->atomic;
        aicore::core->atomic = static_cast<aicore::Atomic>(atomic);
        aicore::write_block(writes, to, stored, at, values.data());
        aicore::core->atomic = before;
    }
    static std::uint64_t row_of(std::uint32_t columns) {
        return C_TYPE::format == CubeFormat::ND_ALIGN ? aicore::rounded_up(columns, 32 / sizeof(C))
                                                      : columns;
    }
    void put_block(const aicore::Matrix<C>& to, std::uint8_t atomic, bool alone, bool is_global,
                   Site site) {
        constexpr CubeFormat format =
            C_TYPE::format == CubeFormat::NZ ? CubeFormat::NZ : CubeFormat::ND;
        if (alone) {
            if (to.is_in_ub()) {
                // The copy to UB fills the tensor, also behind a block at the edge.
                to.local.use({"Matmul", aicore::Pipe::mte2, site}, 0, to.local.GetLength(), true);
            }
            put(to, atomic,
                {format, block_.rows, block_.columns, row_of(block_.columns), 0, result_c0},
                {0, 0, block_.rows, block_.columns}, site);
            return;
        }
        const std::uint32_t rows = number(is_global ? org_m_ : m_);
        const std::uint32_t columns = number(is_global ? org_c_ : n_);
        put(to, atomic, {format, rows, columns, row_of(columns), 0, result_c0}, block_, site);
    }

    void all(const aicore::Matrix<C>& to, std::uint8_t atomic, bool alone, bool is_global,
             Site site) {
        begun_ = false;
        std::uint64_t written = 0;
        while (next(false, site)) {
            if (!alone) {
                put_block(to, atomic, false, is_global, site);
                continue;
            }
            aicore::Matrix<C> part = to;
            part.global = to.global[written];
            put_block(part, atomic, true, is_global, site);
            written += std::uint64_t{base_m()} * base_n();
        }
    }

    /// The layout of a batch: elements from row to row and from matrix to matrix.
    struct Layout {
        std::uint64_t row;
        std::uint64_t matrix;
    };
    static Layout layout_of(::LayoutMode mode, std::uint64_t rows, std::uint64_t columns,
                            std::int64_t batches, std::int64_t heads, std::int64_t groups) {
        const auto inner = static_cast<std::uint64_t>(heads * groups);
        switch (mode) {
            case ::LayoutMode::BSNGD:
                return {inner * columns, columns};
            case ::LayoutMode::SBNGD:
                return {static_cast<std::uint64_t>(batches) * inner * columns, columns};
            default:
                return {columns, rows * columns};
        }
    }
    void batch(const aicore::Matrix<C>& to, bool adds, std::uint8_t atomic, bool /*alone*/,
               BatchStrides strides, Site site) {
        const std::int32_t count = std::max(batch_a_, batch_b_);
        const auto m = number(m_);
        const auto n = number(n_);
        const auto k = number(k_);
        const TCubeTiling& t = tiling_;
        const Layout a =
            a_.transposed
                ? layout_of(A_TYPE::layout, k, m, t.ALayoutInfoB, t.ALayoutInfoN, t.ALayoutInfoG)
                : layout_of(A_TYPE::layout, m, k, t.ALayoutInfoB, t.ALayoutInfoN, t.ALayoutInfoG);
        const Layout b =
            b_.transposed
                ? layout_of(B_TYPE::layout, n, k, t.BLayoutInfoB, t.BLayoutInfoN, t.BLayoutInfoG)
                : layout_of(B_TYPE::layout, k, n, t.BLayoutInfoB, t.BLayoutInfoN, t.BLayoutInfoG);
        const Layout c =
            layout_of(C_TYPE::layout, m, n, t.CLayoutInfoB, t.CLayoutInfoN, t.CLayoutInfoG);
        constexpr CubeFormat format =
            C_TYPE::format == CubeFormat::NZ ? CubeFormat::NZ : CubeFormat::ND;
        block_ = {0, 0, m, n};
        for (std::int32_t index = 0; index < count; ++index) {
            const auto of_a = static_cast<std::uint64_t>(index * batch_a_ / count);
            const auto of_b = static_cast<std::uint64_t>(index * batch_b_ / count);
            const auto of_c = static_cast<std::uint64_t>(index);
            Product product;
            product.a = of_a * (strides.a != 0 ? strides.a : a.matrix);
            product.b = of_b * (strides.b != 0 ? strides.b : b.matrix);
            product.c = of_c * (strides.c != 0 ? strides.c : c.matrix);
            product.bias = options.isBiasBatch ? of_c * n : 0;
            product.a_row = a.row;
            product.b_row = b.row;
            compute(product, adds, site);
            put(to, atomic, {format, m, n, c.row, product.c, result_c0}, block_, site);
        }
    }

    TCubeTiling tiling_{};
    std::int32_t m_ = 0, n_ = 0, k_ = 0;
    std::int32_t org_m_ = 0, org_n_ = 0, org_ka_ = 0, org_kb_ = 0, org_c_ = 0;
    std::int32_t batch_a_ = 1, batch_b_ = 1;
    aicore::Matrix<A> a_;
    aicore::Matrix<B> b_;
    aicore::Matrix<Bias> bias_;
    aicore::Matrix<std::uint64_t> factors_;
    GlobalTensor<C> workspace_;
    bool quantizes_ = false;
    bool begun_ = false;
    bool asynchronous_ = false;
    std::uint32_t step_ = 0;
    aicore::Block block_{};
    std::vector<Wide> first_, second_, values_;
};

}  // namespace AscendC
