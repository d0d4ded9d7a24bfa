// DataCopy of slices: parts of each axis of a tensor.
#pragma once

#include <vector>

#include "ascendc/move.h"

namespace AscendC {

/// A part of each axis of a tensor: from startIndex to endIndex, in steps of burstLen and stride.
struct SliceInfo {
    SliceInfo() = default;
    SliceInfo(std::uint32_t start, std::uint32_t end, std::uint32_t step, std::uint32_t burst,
              std::uint32_t shape = 0)
        : startIndex(start), endIndex(end), stride(step), burstLen(burst), shapeValue(shape) {}
    std::uint32_t startIndex = 0;
    std::uint32_t endIndex = 0;
    std::uint32_t stride = 0;    // elements between two bursts
    std::uint32_t burstLen = 0;  // of the last axis, in blocks of 32 bytes; else 1
    std::uint32_t shapeValue = 0;
};

}  // namespace AscendC

namespace aicore {

/// The indices at which the bursts of a slice begin; the first axis is the innermost.
template <class T>
std::vector<std::uint64_t> bursts_of(const AscendC::SliceInfo* slices, std::uint32_t axes) {
    std::vector<std::uint64_t> begins{0};
    std::uint64_t step = 1;
    for (std::uint32_t axis = 0; axis < axes; ++axis) {
        const AscendC::SliceInfo& slice = slices[axis];
        const std::uint32_t burst =
            axis == 0 ? slice.burstLen * 32 / static_cast<std::uint32_t>(sizeof(T)) : 1;
        std::vector<std::uint64_t> next;
        for (std::uint64_t at = slice.startIndex; at <= slice.endIndex;
             at += burst + slice.stride) {
            for (const std::uint64_t begin : begins) {
                next.push_back(at * step + begin);
            }
        }
        begins = std::move(next);
        step *= slice.shapeValue;
    }
    return begins;
}

/// Call `copy` with the places of each burst in the source and in the target, and its bytes.
template <class T, class Copy>
void for_each_burst(const AscendC::SliceInfo to_info[], const AscendC::SliceInfo from_info[],
                    std::uint32_t dimensions, Site site, Copy copy) {
    const auto from = bursts_of<T>(from_info, dimensions);
    const auto to = bursts_of<T>(to_info, dimensions);
    core->require(from.size() == to.size(), "range",
                  "DataCopy: the slices must have the same number of bursts", site);
    const std::uint64_t bytes = from_info[0].burstLen * 32U;
    for (std::size_t burst = 0; burst < std::min(from.size(), to.size()); ++burst) {
        copy(from[burst], to[burst], bytes);
    }
}

}  // namespace aicore

namespace AscendC {

/// Move a slice of a tensor in global memory to a slice of one on the core.
template <class T>
void DataCopy(const LocalTensor<T>& dst, const GlobalTensor<T>& src, const SliceInfo dstSliceInfo[],
              const SliceInfo srcSliceInfo[], std::uint32_t dimValue = 1,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopy (slice)", aicore::Pipe::mte2, site};
    aicore::for_each_burst<T>(dstSliceInfo, srcSliceInfo, dimValue, site,
                              [&](std::uint64_t from, std::uint64_t to, std::uint64_t bytes) {
                                  const void* const source =
                                      src.use(instruction, from, bytes, false);
                                  dst.use(instruction, to * sizeof(T), bytes, true);
                                  std::memcpy(dst.data() + to, source, bytes);
                              });
}
template <class T>
void DataCopy(const GlobalTensor<T>& dst, const LocalTensor<T>& src, const SliceInfo dstSliceInfo[],
              const SliceInfo srcSliceInfo[], std::uint32_t dimValue = 1,
              aicore::Site site = aicore::Site::here()) {
    const aicore::Instruction instruction{"DataCopy (slice)", aicore::Pipe::mte3, site};
    aicore::for_each_burst<T>(dstSliceInfo, srcSliceInfo, dimValue, site,
                              [&](std::uint64_t from, std::uint64_t to, std::uint64_t bytes) {
                                  src.use(instruction, from * sizeof(T), bytes, false);
                                  void* const target = dst.use(instruction, to, bytes, true);
                                  aicore::core->store_global(target, src.data() + from, bytes,
                                                             aicore::element_of<T>());
                              });
}

}  // namespace AscendC
