#include "npu/call/registration.h"

#include <cstdio>
#include <string_view>

#include "npu/call/soc.h"
#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

std::string json_string(std::string_view text) {
    std::string json = "\"";
    for (const char character : text) {
        if (static_cast<unsigned char>(character) < 0x20) {
            char escape[7];
            std::snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(character));
            json += escape;
            continue;
        }
        if (character == '"' || character == '\\') {
            json += '\\';
        }
        json += character;
    }
    return json + '"';
}

/// Return a JSON array of `items`, each converted by `to_json`.
template <class Items, class ToJson>
std::string json_array(const Items& items, ToJson to_json) {
    std::string json;
    for (const auto& item : items) {
        json += (json.empty() ? "" : ", ") + to_json(item);
    }
    return "[" + json + "]";
}

std::string json_object(const Kernel& kernel) {
    const Function& function = kernel.function();
    return "{\"op\": " + json_string(kernel.op) +
           ", \"function\": " + json_string(function.name()) +
           ", \"candidates\": " + json_array(function.candidates(), json_string) +
           ", \"address\": " + std::to_string(reinterpret_cast<std::uintptr_t>(kernel.boxed)) + "}";
}

}  // namespace

std::string implementations(const std::vector<Kernel>& kernels) {
    return "{\"problem\": " + json_string(torch_npu_problem()) +
           ", \"is_ascend950\": " + (is_ascend950() ? "true" : "false") +
           ", \"kernels\": " + json_array(kernels, json_object) + "}";
}

}  // namespace ascend_ops::aclnn
