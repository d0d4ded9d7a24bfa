// On-chip memory of a core: where the spaces lie, and what InitBuffer reserves.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "ascendc/core.h"
#include "emulator/ascendc/shadow.h"
#include "emulator/ascendc/soc.h"

namespace aicore {
namespace {

const char* const space_names[space_count] = {"UB", "L1", "L0A", "L0B", "L0C", "BT", "FB"};

std::uint32_t rounded_up(std::uint32_t bytes) { return (bytes + granule - 1) / granule * granule; }

/// Zeroed pages that cost nothing until they are touched.
void* lazy_pages(std::size_t bytes) {
    void* const pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) {
        std::perror("[emulated NPU] memory of an emulated AI core");
        std::abort();
    }
    return pages;
}

std::size_t shadow_bytes() { return total_bytes() / granule * sizeof(Shadow); }

}  // namespace

std::uint32_t total_bytes() { return Core::base(Space::fixpipe) + Core::bytes(Space::fixpipe); }

const char* name_of(Space space) { return space_names[static_cast<int>(space)]; }

Space space_of(std::uint32_t address) {
    int space = 0;
    while (space + 1 < space_count && address >= Core::base(static_cast<Space>(space + 1))) {
        ++space;
    }
    return static_cast<Space>(space);
}

Core::Core()
    : memory_(static_cast<std::uint8_t*>(lazy_pages(total_bytes()))),
      shadow_(static_cast<Shadow*>(lazy_pages(shadow_bytes()))) {}

Core::~Core() {
    munmap(memory_, total_bytes());
    munmap(shadow_, shadow_bytes());
}

std::uint32_t Core::bytes(Space space) { return soc().bytes[static_cast<int>(space)]; }

// Every operand needs it, so the sums are made once.
std::uint32_t Core::base(Space space) {
    static const std::array<std::uint32_t, space_count> bases = [] {
        std::array<std::uint32_t, space_count> sums{};
        for (int before = 1; before < space_count; ++before) {
            sums[before] = sums[before - 1] + bytes(static_cast<Space>(before - 1));
        }
        return sums;
    }();
    return bases[static_cast<int>(space)];
}

std::uint32_t Core::address_of(const void* pointer) const {
    return static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(pointer) - memory_);
}

std::uint32_t Core::reserve(Space space, std::uint32_t bytes, const char* what, Site site) {
    std::uint32_t& used = reserved_[static_cast<int>(space)];
    const std::uint32_t address = base(space) + used;
    const std::uint64_t wanted = std::uint64_t{used} + rounded_up(bytes);
    if (wanted > Core::bytes(space)) {
        end("overflow",
            std::string(what) + " of " + std::to_string(bytes) + " bytes: " + name_of(space) +
                " would hold " + std::to_string(wanted) + " bytes, and has " +
                std::to_string(Core::bytes(space)) + " on " + soc().name +
                "; use smaller tiles or fewer buffers",
            site);
    }
    used = static_cast<std::uint32_t>(wanted);
    std::uint32_t& most = most_reserved_[static_cast<int>(space)];
    most = std::max(most, used);
    return address;
}

std::uint32_t Core::place_array(const char* name, std::uint32_t bytes, Site site) {
    for (const Array& array : arrays_) {
        if (array.name == name && array.site.line == site.line && array.bytes == bytes &&
            std::string_view(array.site.file) == site.file) {
            return array.address;
        }
    }
    const std::uint32_t address = reserve(Space::ub, bytes, name, site);
    arrays_.push_back({name, site, bytes, address});
    // Scalar code may write to the array without a call, so reading it is never a finding.
    for (std::uint32_t index = address / granule; index * granule < address + bytes; ++index) {
        shadow_[index] = {};
        shadow_[index].run = run_;
        shadow_[index].written = true;
    }
    return address;
}

std::uint8_t* ub_array(const char* name, std::uint32_t bytes, Site site) {
    if (core == nullptr) {
        std::fprintf(stderr,
                     "[emulated NPU] %s:%u: the array %s of UB must be declared in a function\n",
                     site.file, site.line, name);
        std::abort();
    }
    return core->at(core->place_array(name, bytes, site));
}

void Core::release_all() {
    reserved_ = {};
    events_ = {};
    barrier(Pipe::all);
}

void Core::begin(std::uint32_t block_index, std::uint32_t block_count,
                 std::uint32_t sub_block_index, std::uint32_t sub_block_count, bool is_mixed,
                 bool is_cube) {
    block = block_index;
    blocks = block_count;
    sub_block = sub_block_index;
    sub_blocks = sub_block_count;
    mixed = is_mixed;
    cube_ = is_cube;
    pipe_object = nullptr;
    mask = {};
    atomic = Atomic::none;
    dequantization_scale = 1.0F;
    compare_mask = {};
    kept = 0;
    reduced = 0;
    merged = {};
    begin_registers();
    padding = 0;
    sparse_indices.clear();
    has_padding = false;
    image_padding = 0;
    image_size = {};
    image_pads = {};
    fixpipe_factor = 0;
    fixpipe_factors = 0;
    fixpipe_matrices = 1;
    fixpipe_src_stride = 0;
    fixpipe_dst_stride = 0;
    reserved_ = {};
    most_reserved_ = {};
    single_buffers_.clear();
    arrays_.clear();
    issued_ = {};
    known_ = {};
    flags_ = {};
    events_ = {};
    ++run_;
}

}  // namespace aicore
