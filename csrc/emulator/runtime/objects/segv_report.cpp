#include "emulator/runtime/objects/segv_report.h"

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>

namespace ascend_emulator {
namespace {

const char* device_begin = nullptr;
std::size_t device_size = 0;
struct sigaction handler_before;

void write_text(const char* text) {
    const ssize_t ignored = write(STDERR_FILENO, text, std::strlen(text));
    (void)ignored;
}

void write_hexadecimal(std::uintptr_t number) {
    char text[19] = "0x";
    for (int digit = 0; digit < 16; ++digit) {
        text[2 + digit] = "0123456789abcdef"[(number >> (60 - 4 * digit)) & 15];
    }
    text[18] = '\0';
    write_text(text);
}

// Calls only functions that are safe in a signal handler.
void on_fault(int signal, siginfo_t* info, void* context) {
    (void)signal;
    (void)context;
    const char* address = static_cast<const char*>(info->si_addr);
    if (static_cast<std::size_t>(address - device_begin) < device_size) {
        write_text("[emulated NPU] host access to device memory at ");
        write_hexadecimal(reinterpret_cast<std::uintptr_t>(address));
        write_text(": copy it to the host first (aclrtMemcpy, tensor.cpu()).\n");
    }
    sigaction(SIGSEGV, &handler_before, nullptr);  // the access is repeated and reaches it
}

}  // namespace

void report_host_accesses(const char* begin, std::size_t size) {
    device_begin = begin;
    device_size = size;
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &handler_before);
}

}  // namespace ascend_emulator
