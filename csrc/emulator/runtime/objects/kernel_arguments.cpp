#include "emulator/runtime/objects/kernel_arguments.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <string>

#include "acl/acl_rt.h"
#include "emulator/interface/kernel_binaries.h"
#include "emulator/runtime/objects/context.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/kernel_binary.h"
#include "emulator/runtime/objects/memory.h"

namespace ascend_emulator {
namespace {

struct Lists {
    std::mutex mutex;
    std::map<const void*, std::unique_ptr<KernelArguments>> of_handle;
};

/// Never destroyed: threads outlive main.
Lists& argument_lists() {
    static auto* const only = new Lists;
    return *only;
}

int refuse_argument(const std::string& problem) {
    return fail(ACL_ERROR_RT_PARAM_INVALID, problem);
}

/// The argument of a handle that an append function returned, or null.
KernelArgument* find_argument(KernelArguments& list, const void* parameter) {
    for (const std::unique_ptr<KernelArgument>& argument : list.arguments) {
        if (argument.get() == parameter) {
            return argument.get();
        }
    }
    return nullptr;
}

/// 0, or a code if the function has no such parameter.
int check_parameter(const KernelArguments& list, std::size_t count) {
    const auto parameters = kernel_binaries()->parameters(list.function);
    const std::size_t index = list.arguments.size();
    if (index >= parameters.size()) {
        return refuse_argument("the kernel has " + std::to_string(parameters.size()) +
                               " parameters, and this would be one more");
    }
    if (parameters[index].bytes != count) {
        return refuse_argument("parameter " + std::to_string(index) + " must have " +
                               std::to_string(parameters[index].bytes) + " bytes, got " +
                               std::to_string(count));
    }
    return 0;
}

void* add_argument(KernelArguments& list, const void* bytes, std::size_t count,
                   bool is_placeholder) {
    auto argument = std::make_unique<KernelArgument>();
    const auto* const begin = static_cast<const unsigned char*>(bytes);
    argument->bytes.assign(begin, begin + count);
    argument->is_placeholder = is_placeholder;
    list.arguments.push_back(std::move(argument));
    list.finalized = false;
    return list.arguments.back().get();
}

}  // namespace

std::shared_ptr<void> copy_to_device(const void* data, std::size_t bytes) {
    constexpr std::size_t line = 64;
    const std::size_t rounded = (bytes + line - 1) / line * line;
    void* const memory = std::aligned_alloc(line, std::max(rounded, line));
    std::memcpy(memory, data, bytes);
    add_block({memory, bytes, BlockKind::imported, current_device()});
    return {memory, [](void* address) {
                BlockInfo removed;
                remove_block(address, BlockKind::imported, &removed);
                std::free(address);
            }};
}

KernelArguments* create_arguments(void* function) {
    auto list = std::make_unique<KernelArguments>();
    list->function = function;
    KernelArguments* const handle = list.get();
    const std::lock_guard<std::mutex> lock(argument_lists().mutex);
    argument_lists().of_handle[handle] = std::move(list);
    return handle;
}

int place_arguments(void* function, void* handle) {
    auto list = std::make_unique<KernelArguments>();
    list->function = function;
    const std::lock_guard<std::mutex> lock(argument_lists().mutex);
    argument_lists().of_handle[handle] = std::move(list);
    return 0;
}

KernelArguments* find_arguments(const void* handle) {
    const std::lock_guard<std::mutex> lock(argument_lists().mutex);
    const auto found = argument_lists().of_handle.find(handle);
    if (found == argument_lists().of_handle.end() || check_function(found->second->function) != 0) {
        fail(ACL_ERROR_RT_INVALID_HANDLE,
             "argsHandle must be a handle of aclrtKernelArgsInit and its binary loaded");
        return nullptr;
    }
    return found->second.get();
}

void drop_dead_arguments() {
    auto& lists = argument_lists().of_handle;
    const std::lock_guard<std::mutex> lock(argument_lists().mutex);
    for (auto entry = lists.begin(); entry != lists.end();) {
        entry = is_function(entry->second->function) ? std::next(entry) : lists.erase(entry);
    }
}

int append(KernelArguments& list, const void* bytes, std::size_t count, void** parameter) {
    if (const int refused = check_parameter(list, count)) {
        return refused;
    }
    *parameter = add_argument(list, bytes, count, false);
    return 0;
}

int append_placeholder(KernelArguments& list, void** parameter) {
    if (const int refused = check_parameter(list, sizeof(void*))) {
        return refused;
    }
    *parameter = add_argument(list, "", 0, true);
    return 0;
}

int placeholder_buffer(KernelArguments& list, const void* parameter, std::size_t bytes,
                       void** buffer) {
    KernelArgument* const argument = find_argument(list, parameter);
    if (argument == nullptr || !argument->is_placeholder) {
        return refuse_argument(
            "paramHandle must be a handle of aclrtKernelArgsAppendPlaceHolder for this argsHandle");
    }
    if (bytes == 0) {
        return refuse_argument("dataSize must be positive, got 0");
    }
    argument->bytes.assign(bytes, 0);
    *buffer = argument->bytes.data();
    return 0;
}

int update(KernelArguments& list, const void* parameter, const void* bytes, std::size_t count) {
    KernelArgument* const argument = find_argument(list, parameter);
    if (argument == nullptr || argument->is_placeholder) {
        return refuse_argument(
            "paramHandle must be a handle of aclrtKernelArgsAppend for this argsHandle");
    }
    if (count != argument->bytes.size()) {
        return refuse_argument("paramSize must be " + std::to_string(argument->bytes.size()) +
                               ", as when it was appended, got " + std::to_string(count));
    }
    std::memcpy(argument->bytes.data(), bytes, count);
    list.finalized = false;
    return 0;
}

int finalize(KernelArguments& list) {
    const std::size_t parameters = kernel_binaries()->parameters(list.function).size();
    if (list.arguments.size() != parameters) {
        return refuse_argument("the kernel has " + std::to_string(parameters) +
                               " parameters, and " + std::to_string(list.arguments.size()) +
                               " were appended");
    }
    for (const std::unique_ptr<KernelArgument>& argument : list.arguments) {
        if (argument->is_placeholder && argument->bytes.empty()) {
            return refuse_argument(
                "a placeholder has no data; call aclrtKernelArgsGetPlaceHolderBuffer");
        }
    }
    list.finalized = true;
    return 0;
}

int launch(const KernelArguments& list, std::uint32_t blocks, void* stream) {
    if (!list.finalized) {
        return refuse_argument(
            "the arguments are not complete; call aclrtKernelArgsFinalize after the last change");
    }
    const auto parameters = kernel_binaries()->parameters(list.function);
    const std::size_t bytes =
        parameters.empty() ? 0 : parameters.back().offset + parameters.back().bytes;
    std::vector<unsigned char> packed(bytes, 0);
    auto copies = std::make_shared<std::vector<std::shared_ptr<void>>>();
    for (std::size_t index = 0; index < list.arguments.size(); ++index) {
        const KernelArgument& argument = *list.arguments[index];
        const void* from = argument.bytes.data();
        void* address = nullptr;
        if (argument.is_placeholder) {
            copies->push_back(copy_to_device(argument.bytes.data(), argument.bytes.size()));
            address = copies->back().get();
            from = static_cast<const void*>(&address);
        }
        std::memcpy(packed.data() + parameters[index].offset, from, parameters[index].bytes);
    }
    return kernel_binaries()->launch(list.function, blocks, packed.data(), bytes, stream,
                                     std::move(copies));
}

int launch_with_placeholders(void* function, std::uint32_t blocks, const void* arguments,
                             std::size_t bytes, const aclrtPlaceHolderInfo* placeholders,
                             std::size_t count, void* stream) {
    for (std::size_t index = 0; index < count; ++index) {
        const aclrtPlaceHolderInfo& one = placeholders[index];
        if (one.addrOffset + sizeof(void*) > bytes || one.dataOffset > bytes) {
            return refuse_argument("placeholder " + std::to_string(index) +
                                   " must lie in the arguments of " + std::to_string(bytes) +
                                   " bytes");
        }
    }
    const std::shared_ptr<void> copy = copy_to_device(arguments, bytes);
    const auto* const begin = static_cast<const unsigned char*>(arguments);
    std::vector<unsigned char> packed(begin, begin + bytes);
    for (std::size_t index = 0; index < count; ++index) {
        const void* const address =
            static_cast<const unsigned char*>(copy.get()) + placeholders[index].dataOffset;
        std::memcpy(packed.data() + placeholders[index].addrOffset,
                    static_cast<const void*>(&address), sizeof address);
    }
    return kernel_binaries()->launch(function, blocks, packed.data(), bytes, stream, copy);
}

int launch_with_array(void* function, std::uint32_t blocks, void* const* arguments, void* stream) {
    const auto parameters = kernel_binaries()->parameters(function);
    if (parameters.empty()) {
        return kernel_binaries()->launch(function, blocks, nullptr, 0, stream);
    }
    if (arguments == nullptr) {
        return refuse_argument("args must not be null");
    }
    const std::size_t bytes = parameters.back().offset + parameters.back().bytes;
    std::vector<unsigned char> packed(bytes, 0);
    for (std::size_t index = 0; index < parameters.size(); ++index) {
        if (arguments[index] == nullptr) {
            return refuse_argument("args[" + std::to_string(index) + "] must not be null");
        }
        std::memcpy(packed.data() + parameters[index].offset, arguments[index],
                    parameters[index].bytes);
    }
    return kernel_binaries()->launch(function, blocks, packed.data(), bytes, stream);
}

}  // namespace ascend_emulator
