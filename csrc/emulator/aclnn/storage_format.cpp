#include "emulator/aclnn/storage_format.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "emulator/aclnn/handles.h"

namespace ascend_emulator {
namespace {

constexpr std::int64_t block = 16;

/// How a tensor becomes its storage: pad to `padded`, view as `split`, permute by `order`.
struct Blocking {
    IntList sizes;  // with the dimensions of size 1 that the format adds
    IntList padded;
    IntList split;
    IntList order;
};

std::int64_t blocks(std::int64_t size, std::int64_t length) { return (size + length - 1) / length; }

std::int64_t product(const IntList& sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1},
                           std::multiplies<std::int64_t>());
}

/// [..., rows, columns] as [..., columns / c0, rows / 16, 16, c0].
Blocking fractal_nz(IntList sizes, std::int64_t c0) {
    while (sizes.size() < 2) {
        sizes.push_back(1);
    }
    const std::size_t batch = sizes.size() - 2;
    const std::int64_t rows = blocks(sizes[batch], block);
    const std::int64_t columns = blocks(sizes[batch + 1], c0);
    Blocking made{sizes, sizes, IntList(sizes.begin(), sizes.end() - 2), {}};
    made.padded[batch] = rows * block;
    made.padded[batch + 1] = columns * c0;
    made.split.insert(made.split.end(), {rows, block, columns, c0});
    for (std::size_t i = 0; i < batch; ++i) {
        made.order.push_back(static_cast<std::int64_t>(i));
    }
    const auto first = static_cast<std::int64_t>(batch);
    made.order.insert(made.order.end(), {first + 2, first, first + 1, first + 3});
    return made;
}

/// Images: fewer than four dimensions are channels, height and width, in this order.
IntList as_nchw(const IntList& sizes) {
    if (sizes.size() > 3) {
        return sizes;
    }
    IntList image{1};
    image.insert(image.end(), sizes.begin(), sizes.end());
    image.resize(4, 1);
    return image;
}

void require_rank(const IntList& sizes, std::size_t rank, aclFormat format) {
    if (sizes.size() != rank) {
        throw std::invalid_argument("a tensor of format " + std::to_string(format) + " must have " +
                                    std::to_string(rank) + " dimensions, got sizes " +
                                    text_of(sizes));
    }
}

/// [N, C, D..., H, W] with the channels in blocks; `order` is of N, C1, C0 and the others.
Blocking channel_blocks(const IntList& sizes, std::int64_t c0, const IntList& order) {
    Blocking made{sizes, sizes, {sizes[0], blocks(sizes[1], c0), c0}, order};
    made.padded[1] = made.split[1] * c0;
    made.split.insert(made.split.end(), sizes.begin() + 2, sizes.end());
    return made;
}

/// The same, with the batch in blocks as well; `order` is of N1, N0, C1, C0 and the others.
Blocking filter_blocks(const IntList& sizes, std::int64_t c0, const IntList& order) {
    const std::int64_t batch = blocks(sizes[0], block);
    Blocking made{sizes, sizes, {batch, block, blocks(sizes[1], c0), c0}, order};
    made.padded[0] = batch * block;
    made.padded[1] = made.split[2] * c0;
    made.split.insert(made.split.end(), sizes.begin() + 2, sizes.end());
    return made;
}

Blocking blocking_of(const IntList& sizes, aclFormat format, std::int64_t c0) {
    switch (format) {
        case ACL_FORMAT_NC1HWC0:
            require_rank(as_nchw(sizes), 4, format);
            return channel_blocks(as_nchw(sizes), c0, {0, 1, 3, 4, 2});
        case ACL_FORMAT_FRACTAL_Z:
            require_rank(as_nchw(sizes), 4, format);
            return filter_blocks(as_nchw(sizes), c0, {2, 4, 5, 0, 1, 3});
        case ACL_FORMAT_NDC1HWC0:
            require_rank(sizes, 5, format);
            return channel_blocks(sizes, c0, {0, 3, 1, 4, 5, 2});
        case ACL_FRACTAL_Z_3D:
            require_rank(sizes, 5, format);
            return filter_blocks(sizes, c0, {4, 2, 5, 6, 0, 1, 3});
        default:
            return fractal_nz(sizes, c0);
    }
}

IntList permuted(const IntList& sizes, const IntList& order) {
    IntList result;
    for (const std::int64_t from : order) {
        result.push_back(sizes[static_cast<std::size_t>(from)]);
    }
    return result;
}

/// The blocking of a storage of `storage_sizes`, whose last dimension is a block.
Blocking blocking_of(const IntList& sizes, aclFormat format, const IntList& storage_sizes) {
    if (!is_blocked(format)) {
        throw std::invalid_argument("the storage format " + std::to_string(format) +
                                    " is not emulated");
    }
    if (storage_sizes.empty() || storage_sizes.back() <= 0) {
        throw std::invalid_argument("a storage in format " + std::to_string(format) +
                                    " must end with the size of a block, got sizes " +
                                    text_of(storage_sizes));
    }
    Blocking made = blocking_of(sizes, format, storage_sizes.back());
    if (product(made.split) != product(storage_sizes)) {
        throw std::invalid_argument("a tensor of sizes " + text_of(sizes) + " in format " +
                                    std::to_string(format) + " must have a storage of sizes " +
                                    text_of(permuted(made.split, made.order)) + ", got " +
                                    text_of(storage_sizes));
    }
    return made;
}

}  // namespace

bool is_plain(aclFormat format) {
    switch (format) {
        case ACL_FORMAT_ND:
        case ACL_FORMAT_NCHW:
        case ACL_FORMAT_NHWC:
        case ACL_FORMAT_NCL:
        case ACL_FORMAT_NC:
        case ACL_FORMAT_NCDHW:
        case ACL_FORMAT_NDHWC:
            return true;
        default:
            return false;
    }
}

bool is_blocked(aclFormat format) {
    switch (format) {
        case ACL_FORMAT_FRACTAL_NZ:
        case ACL_FORMAT_FRACTAL_NZ_C0_2:
        case ACL_FORMAT_FRACTAL_NZ_C0_4:
        case ACL_FORMAT_FRACTAL_NZ_C0_8:
        case ACL_FORMAT_FRACTAL_NZ_C0_16:
        case ACL_FORMAT_FRACTAL_NZ_C0_32:
        case ACL_FORMAT_NC1HWC0:
        case ACL_FORMAT_FRACTAL_Z:
        case ACL_FORMAT_NDC1HWC0:
        case ACL_FRACTAL_Z_3D:
            return true;
        default:
            return false;
    }
}

IntList storage_sizes_of(const IntList& sizes, aclFormat format, std::int64_t c0) {
    const Blocking blocking = blocking_of(sizes, format, c0);
    IntList storage = permuted(blocking.split, blocking.order);
    if (format == ACL_FORMAT_FRACTAL_Z || format == ACL_FRACTAL_Z_3D) {
        // CANN merges all but the last three dimensions.
        const IntList merged(storage.begin(), storage.end() - 3);
        storage.erase(storage.begin(), storage.end() - 3);
        storage.insert(storage.begin(), product(merged));
    }
    return storage;
}

Tensor from_storage(const Tensor& stored, const IntList& sizes, aclFormat format) {
    const Blocking blocking = blocking_of(sizes, format, stored.sizes());
    IntList back(blocking.order.size());
    for (std::size_t i = 0; i < back.size(); ++i) {
        back[static_cast<std::size_t>(blocking.order[i])] = static_cast<std::int64_t>(i);
    }
    Tensor tensor = stored.reshape(permuted(blocking.split, blocking.order))
                        .permute(back)
                        .reshape(blocking.padded);
    for (std::size_t i = 0; i < blocking.sizes.size(); ++i) {
        tensor = tensor.narrow(static_cast<std::int64_t>(i), blocking.sizes[i]);
    }
    return tensor.contiguous().reshape(sizes);
}

Tensor to_storage(const Tensor& tensor, const IntList& storage_sizes, aclFormat format) {
    const Blocking blocking = blocking_of(tensor.sizes(), format, storage_sizes);
    IntList padding;  // from the last dimension, before and after
    for (std::size_t i = blocking.sizes.size(); i-- > 0;) {
        padding.insert(padding.end(), {0, blocking.padded[i] - blocking.sizes[i]});
    }
    return aten("constant_pad_nd", tensor.reshape(blocking.sizes), padding)
        .reshape(blocking.split)
        .permute(blocking.order)
        .contiguous()
        .reshape(storage_sizes);
}

}  // namespace ascend_emulator
