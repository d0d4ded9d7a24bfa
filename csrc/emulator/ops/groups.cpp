#include "emulator/ops/groups.h"

#include <algorithm>

#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

namespace ascend_emulator {

Groups groups_of(const Tensor& list, Int type, Int total) {
    require(type >= 0 && type <= 2, "groupListType must be 0, 1 or 2, got " + std::to_string(type));
    const IntList values = integers_of(list);
    const std::size_t step = type == static_cast<Int>(GroupList::indexed_sizes) ? 2 : 1;
    Groups groups;
    Int begin = 0;
    for (std::size_t i = 0; i + step <= values.size(); i += step) {
        const Int value = values[i + step - 1];
        const Int end = type == static_cast<Int>(GroupList::ends) ? value : begin + value;
        require(end >= begin, "groupList must not decrease, got " + std::to_string(end) +
                                  " after " + std::to_string(begin));
        groups.push_back({step == 2 ? values[i] : static_cast<Int>(i), begin, end});
        begin = end;
    }
    require(begin <= total, "groupList must end at most at " + std::to_string(total) + ", got " +
                                std::to_string(begin));
    return groups;
}

Int rows_in(const Groups& groups) { return groups.empty() ? 0 : groups.back().end; }

Tensor group_of_each_row(const Groups& groups) {
    Tensor index = full({rows_in(groups)}, Scalar{Int{0}}, DType::int64);
    auto* target = static_cast<Int*>(index.data());
    for (const Group& group : groups) {
        std::fill(target + group.begin, target + group.end, group.index);
    }
    return index;
}

}  // namespace ascend_emulator
