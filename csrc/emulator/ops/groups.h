// Groups of rows: the tokens of each expert.
#pragma once

#include "emulator/aten/value.h"
#include "emulator/ops/slices.h"

namespace ascend_emulator {

/// How a list of groups is written: the end of each group, its size, or pairs of a group's index
/// and its size.
enum class GroupList : std::int64_t { ends = 0, sizes = 1, indexed_sizes = 2 };

/// A group of consecutive rows, and the index of its weights.
struct Group {
    std::int64_t index;
    std::int64_t begin;
    std::int64_t end;
};
using Groups = std::vector<Group>;

/// Read a list of groups. Throws if they overlap or need more than `total` rows.
Groups groups_of(const Tensor& list, std::int64_t type, std::int64_t total);

/// The rows that belong to a group: the end of the last one.
std::int64_t rows_in(const Groups& groups);

/// The index of the group of each row, up to rows_in(groups).
Tensor group_of_each_row(const Groups& groups);

/// The first rows of an output; the others are not written.
template <class Output>
Output first_rows(const Output& out, std::int64_t count) {
    return {out.defined() ? out.tensor.narrow(0, count) : out.tensor, out.parameter};
}

}  // namespace ascend_emulator
