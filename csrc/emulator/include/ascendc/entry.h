// How a kernel in a binary is called: by its name, with its arguments as bytes.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <tuple>
#include <type_traits>

#include "ascendc/launch.h"

namespace aicore {

/// Round up to a multiple of the alignment of an argument, which is 4 at least.
template <class Value>
constexpr std::size_t aligned_for(std::size_t offset) {
    constexpr std::size_t alignment = alignof(Value) < 4 ? 4 : alignof(Value);
    return (offset + alignment - 1) / alignment * alignment;
}

template <class Value>
Value next_argument(const unsigned char* arguments, std::size_t bytes, std::size_t& offset) {
    offset = aligned_for<Value>(offset);
    Value value{};
    if (offset + sizeof value <= bytes) {
        std::memcpy(static_cast<void*>(&value), arguments + offset, sizeof value);
    }
    offset += sizeof value;
    return value;
}

template <class Value>
KernelParameter next_parameter(std::size_t& offset) {
    const KernelParameter parameter{aligned_for<Value>(offset), sizeof(Value)};
    offset = parameter.offset + parameter.bytes;
    return parameter;
}

template <class... Parameters>
std::vector<KernelParameter> parameters_of(void (*)(Parameters...)) {
    [[maybe_unused]] std::size_t offset = 0;
    return {next_parameter<std::decay_t<Parameters>>(offset)...};
}

template <class Call, class... Parameters>
std::unique_ptr<KernelLaunch> bound(Call call, void (* /*parameters*/)(Parameters...),
                                    const char* name, KernelType type,
                                    const unsigned char* arguments, std::size_t bytes) {
    std::size_t offset = 0;
    std::tuple<std::decay_t<Parameters>...> values{
        next_argument<std::decay_t<Parameters>>(arguments, bytes, offset)...};
    if (offset > bytes) {
        return nullptr;
    }
    auto launch =
        std::make_unique<BoundKernel<Call, std::decay_t<Parameters>...>>(call, std::move(values));
    launch->name = name;
    launch->type = type;
    return launch;
}

}  // namespace aicore

#define AICORE_ENTRY(IDENTIFIER, NAME, TYPE, ...)                                                \
    [[maybe_unused]] static const bool aicore_entry_##IDENTIFIER = ::aicore::add_entry(          \
        NAME,                                                                                    \
        [](const unsigned char* arguments, std::size_t bytes) {                                  \
            return ::aicore::bound([](auto... values) { __VA_ARGS__(values...); }, &__VA_ARGS__, \
                                   NAME, ::aicore::KernelType::TYPE, arguments, bytes);          \
        },                                                                                       \
        ::aicore::parameters_of(&__VA_ARGS__));
