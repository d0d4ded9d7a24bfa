// Communication between ranks in the body of an operator.
#pragma once

#include "emulator/aclnn/operation.h"
#include "emulator/interface/collectives.h"
#include "emulator/ops/checks.h"

namespace ascend_emulator {

class Ranks {
  public:
    /// Find the communicator of that name; an error names those that can be used.
    explicit Ranks(const String& group) : name_(group) {
        Collectives* found = collectives();
        const Collectives::Group own = found == nullptr ? Collectives::Group() : found->find(group);
        require(
            own.size != 0,
            "group must be the name of a communicator of this process (HcclGetCommName), got '" +
                group + "'");
        size_ = own.size;
        rank_ = own.rank;
    }
    Int size() const { return size_; }
    Int rank() const { return rank_; }

    /// x of each rank, in the order of ranks: [size, ...].
    Tensor all_gather(const Tensor& x) const {
        const Tensor own = x.contiguous();
        IntList sizes = own.sizes();
        sizes.insert(sizes.begin(), size_);
        const Tensor all = full(sizes, Scalar{0.0}, own.dtype());
        const std::size_t bytes = bytes_of(own.numel(), own);
        exchange(Blocks(static_cast<std::size_t>(size_), {static_cast<char*>(own.data()), bytes}),
                 blocks(all, IntList(static_cast<std::size_t>(size_), 1)));
        return all;
    }
    /// Row k of x, [size, ...], goes to rank k; returns the rows that were sent to this one.
    Tensor all_to_all(const Tensor& x) const {
        const IntList one_each(static_cast<std::size_t>(size_), 1);
        return all_to_all(x, one_each, one_each);
    }
    /// Rows of x go to the ranks in order, sent[k] of them to rank k; received[k] come from it.
    Tensor all_to_all(const Tensor& x, const IntList& sent, const IntList& received) const {
        const Tensor own = x.contiguous();
        IntList sizes = own.sizes();
        sizes[0] = 0;
        for (const Int count : received) {
            sizes[0] += count;
        }
        const Tensor found = full(sizes, Scalar{0.0}, own.dtype());
        exchange(blocks(own, sent), blocks(found, received));
        return found;
    }

    /// Columns of each rank become rows: [rows, size * n] to [size * rows, n].
    Tensor columns_to_ranks(const Tensor& x) const {
        const Tensor parts = x.reshape({x.size(0), size_, -1}).permute({1, 0, 2});
        return all_to_all(parts).reshape({-1, x.size(1) / size_});
    }
    /// Rows of each rank become columns: [size * rows, n] to [rows, size * n].
    Tensor ranks_to_columns(const Tensor& x) const {
        require(x.size(0) % size_ == 0,
                "the rows of x1 must be a multiple of the number of ranks, " +
                    std::to_string(size_) + ", got " + std::to_string(x.size(0)));
        const Tensor parts = all_to_all(x.reshape({size_, -1, x.size(1)}));
        return parts.permute({1, 0, 2}).reshape({parts.size(1), -1});
    }

  private:
    static std::size_t bytes_of(Int elements, const Tensor& x) {
        return static_cast<std::size_t>(elements * element_size(x.dtype()));
    }
    static Blocks blocks(const Tensor& x, const IntList& counts) {
        Int row = 1;
        for (Int i = 1; i < x.dim(); ++i) {
            row *= x.size(i);
        }
        Blocks found;
        auto* next = static_cast<char*>(x.data());
        for (const Int count : counts) {
            found.push_back({next, bytes_of(count * row, x)});
            next += found.back().size;
        }
        return found;
    }
    void exchange(const Blocks& outgoing, const Blocks& incoming) const {
        if (collectives()->exchange(name_, outgoing, incoming) != 0) {
            throw std::runtime_error("group " + name_ +
                                     ": a rank ended, or did not call the operator in time");
        }
    }

    String name_;
    Int size_ = 0;
    Int rank_ = 0;
};

/// alltoAllAxes, if it is given.
inline void check_exchange_axes(const OptionalInts& axes, const IntList& only) {
    require(!axes.values || axes.values->empty() || *axes.values == only,
            "alltoAllAxes must be empty or " + text_of(only));
}

}  // namespace ascend_emulator
