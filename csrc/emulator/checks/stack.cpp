#include "emulator/checks/stack.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace ascend_emulator {
namespace {

std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> text(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
    return status == 0 ? text.get() : name;
}

std::string frame_text(void* frame) {
    Dl_info info;
    if (dladdr(frame, &info) == 0 || info.dli_fname == nullptr) {
        char text[24];
        std::snprintf(text, sizeof text, "%p", frame);
        return text;
    }
    const bool named = info.dli_sname != nullptr;
    const char* base = static_cast<char*>(named ? info.dli_saddr : info.dli_fbase);
    char offset[24];
    std::snprintf(offset, sizeof offset, "+0x%tx", static_cast<char*>(frame) - base);
    return std::string(info.dli_fname) + " " + (named ? demangled(info.dli_sname) : "") + offset;
}

}  // namespace

Stack Stack::here() {
    Stack stack;
    stack.count_ = backtrace(stack.frames_.data(), static_cast<int>(stack.frames_.size()));
    return stack;
}

std::string Stack::text() const {
    std::string text;
    for (int i = 1; i < count_; ++i) {  // 0 is here()
        text += "    " + frame_text(frames_[i]) + "\n";
    }
    return text;
}

bool Stack::is_of_torch_npu() const {
    constexpr int innermost = 6;
    for (int i = 0; i < count_ && i < innermost; ++i) {
        if (is_torch_npu(frames_[i])) {
            return true;
        }
    }
    return false;
}

bool is_torch_npu(const void* code) {
    Dl_info info;
    return dladdr(code, &info) != 0 && info.dli_fname != nullptr &&
           std::string_view(info.dli_fname).find("/libtorch_npu.so") != std::string_view::npos;
}

}  // namespace ascend_emulator
