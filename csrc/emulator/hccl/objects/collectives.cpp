#include "emulator/hccl/objects/collectives.h"

#include <algorithm>
#include <cstring>

#include "emulator/hccl/objects/transfer.h"

namespace ascend_emulator {
namespace {

struct BFloat16 {
    std::uint16_t bits;
    operator float() const {
        const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
        float value = 0;
        std::memcpy(&value, &wide, sizeof value);
        return value;
    }
    BFloat16& operator=(float value) {
        std::uint32_t wide = 0;
        std::memcpy(&wide, &value, sizeof wide);
        const std::uint32_t rounded = wide + 0x7FFF + ((wide >> 16) & 1);
        bits = static_cast<std::uint16_t>(value != value ? 0x7FC0 : rounded >> 16);
        return *this;
    }
};

template <class Element, class Wide>
void combine(void* to, const void* from, const Reduction& reduction) {
    auto* accumulated = static_cast<Element*>(to);
    const auto* values = static_cast<const Element*>(from);
    for (std::size_t i = 0; i < reduction.count; ++i) {
        const Wide a = accumulated[i];
        const Wide b = values[i];
        switch (reduction.op) {
            case HCCL_REDUCE_SUM:
                accumulated[i] = static_cast<Wide>(a + b);
                break;
            case HCCL_REDUCE_PROD:
                accumulated[i] = static_cast<Wide>(a * b);
                break;
            case HCCL_REDUCE_MAX:
                accumulated[i] = std::max(a, b);
                break;
            default:
                accumulated[i] = std::min(a, b);
        }
    }
}

using Combine = void (*)(void*, const void*, const Reduction&);

Combine combine_of(HcclDataType type) {
    switch (type) {
        case HCCL_DATA_TYPE_INT8:
            return combine<std::int8_t, std::int8_t>;
        case HCCL_DATA_TYPE_UINT8:
            return combine<std::uint8_t, std::uint8_t>;
        case HCCL_DATA_TYPE_INT16:
            return combine<std::int16_t, std::int16_t>;
        case HCCL_DATA_TYPE_INT32:
            return combine<std::int32_t, std::int32_t>;
        case HCCL_DATA_TYPE_INT64:
            return combine<std::int64_t, std::int64_t>;
        case HCCL_DATA_TYPE_UINT64:
            return combine<std::uint64_t, std::uint64_t>;
        case HCCL_DATA_TYPE_FP16:
            return combine<_Float16, float>;
        case HCCL_DATA_TYPE_BFP16:
            return combine<BFloat16, float>;
        case HCCL_DATA_TYPE_FP32:
            return combine<float, float>;
        case HCCL_DATA_TYPE_FP64:
            return combine<double, double>;
        default:
            return nullptr;
    }
}

}  // namespace

std::size_t width_of(HcclDataType type) {
    switch (type) {
        case HCCL_DATA_TYPE_INT8:
        case HCCL_DATA_TYPE_UINT8:
        case HCCL_DATA_TYPE_HIF8:
        case HCCL_DATA_TYPE_FP8E4M3:
        case HCCL_DATA_TYPE_FP8E5M2:
        case HCCL_DATA_TYPE_FP8E8M0:
            return 1;
        case HCCL_DATA_TYPE_INT16:
        case HCCL_DATA_TYPE_UINT16:
        case HCCL_DATA_TYPE_FP16:
        case HCCL_DATA_TYPE_BFP16:
            return 2;
        case HCCL_DATA_TYPE_INT32:
        case HCCL_DATA_TYPE_UINT32:
        case HCCL_DATA_TYPE_FP32:
            return 4;
        case HCCL_DATA_TYPE_INT128:
            return 16;
        default:
            return 8;
    }
}

Blocks same_for_all(const Communicator& group, void* bytes, std::size_t size) {
    return Blocks(group.size(), {static_cast<char*>(bytes), size});
}

Blocks split_by_rank(const Communicator& group, void* bytes, std::size_t size) {
    Blocks blocks;
    for (std::uint32_t rank = 0; rank < group.size(); ++rank) {
        blocks.push_back({static_cast<char*>(bytes) + rank * size, size});
    }
    return blocks;
}

std::size_t product(std::size_t a, std::size_t b) {
    std::size_t bytes = 0;
    return __builtin_mul_overflow(a, b, &bytes) ? SIZE_MAX : bytes;
}

Blocks split_by_counts(const Communicator& group, void* bytes, const void* counts,
                       const void* offsets, std::size_t width) {
    Blocks blocks;
    for (std::uint32_t rank = 0; rank < group.size(); ++rank) {
        const std::size_t offset = static_cast<const std::uint64_t*>(offsets)[rank];
        const std::size_t count = static_cast<const std::uint64_t*>(counts)[rank];
        blocks.push_back(
            {static_cast<char*>(bytes) + product(offset, width), product(count, width)});
    }
    return blocks;
}

Access access_of(const void* base, const Blocks& blocks, bool writes) {
    const char* begin = static_cast<char*>(services().bytes_of(base));
    std::size_t size = 0;
    for (const Block& block : blocks) {
        std::size_t end = 0;
        if (block.size != 0 && __builtin_add_overflow(static_cast<std::size_t>(block.bytes - begin),
                                                      block.size, &end)) {
            end = SIZE_MAX;
        }
        size = std::max(size, end);
    }
    return {base, size, writes};
}

int exchange(Communicator& group, const Blocks& outgoing, const Blocks& incoming) {
    std::vector<Transfer> transfers;
    for (std::uint32_t step = 1; step < group.size(); ++step) {
        const std::uint32_t to = (group.rank() + step) % group.size();
        const std::uint32_t from = (group.rank() + group.size() - step) % group.size();
        transfers.push_back({true, to, outgoing[to].bytes, outgoing[to].size});
        transfers.push_back({false, from, incoming[from].bytes, incoming[from].size});
    }
    const Block& own = outgoing[group.rank()];
    if (own.size != 0) {
        std::memmove(incoming[group.rank()].bytes, own.bytes, own.size);
    }
    return run_transfers(group, std::move(transfers));
}

int broadcast(Communicator& group, std::uint32_t root, void* bytes, std::size_t size) {
    char* const buffer = static_cast<char*>(bytes);
    if (group.rank() != root) {
        return run_transfers(group, {{false, root, buffer, size}});
    }
    std::vector<Transfer> transfers;
    for (std::uint32_t rank = 0; rank < group.size(); ++rank) {
        if (rank != root) {
            transfers.push_back({true, rank, buffer, size});
        }
    }
    return run_transfers(group, std::move(transfers));
}

int scatter(Communicator& group, std::uint32_t root, void* from, void* to, std::size_t size) {
    if (group.rank() != root) {
        return run_transfers(group, {{false, root, static_cast<char*>(to), size}});
    }
    const Blocks blocks = split_by_rank(group, from, size);
    std::vector<Transfer> transfers;
    for (std::uint32_t rank = 0; rank < group.size(); ++rank) {
        if (rank != root) {
            transfers.push_back({true, rank, blocks[rank].bytes, size});
        }
    }
    std::memmove(to, blocks[root].bytes, size);
    return run_transfers(group, std::move(transfers));
}

int barrier(Communicator& group) {
    std::vector<char> sent(group.size());
    std::vector<char> received(group.size());
    return exchange(group, split_by_rank(group, sent.data(), 1),
                    split_by_rank(group, received.data(), 1));
}

int reduce_to(Communicator& group, const Blocks& outgoing, void* result,
              const Reduction& reduction) {
    const Combine combine = combine_of(reduction.type);
    if (combine == nullptr) {
        return services().fail(
            collective_failed,
            "a reduction of HCCL data type " + std::to_string(reduction.type) + " is not emulated");
    }
    const std::size_t size = reduction.count * width_of(reduction.type);
    std::vector<std::vector<char>> received(group.size(), std::vector<char>(size));
    Blocks incoming;
    for (std::vector<char>& one : received) {
        incoming.push_back({one.data(), size});
    }
    if (const int code = exchange(group, outgoing, incoming)) {
        return code;
    }
    for (std::uint32_t rank = 1; rank < group.size(); ++rank) {
        combine(received[0].data(), received[rank].data(), reduction);
    }
    if (size != 0) {
        std::memcpy(result, received[0].data(), size);
    }
    return 0;
}

int reduce_at(Communicator& group, std::uint32_t root, void* from, void* result,
              const Reduction& reduction) {
    const Block own = {static_cast<char*>(from), reduction.count * width_of(reduction.type)};
    if (group.rank() != root) {
        return run_transfers(group, {{true, root, own.bytes, own.size}});
    }
    Blocks outgoing(group.size());
    outgoing[root] = own;
    return reduce_to(group, outgoing, result, reduction);
}

}  // namespace ascend_emulator
