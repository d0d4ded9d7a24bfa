// Device memory: addresses, limits, poison, copies, and the ways of misusing it.
#include <string>

#include "check.h"

TEST(a_call_before_aclInit_is_refused) {
    void* address = nullptr;
    CHECK_REFUSED(aclrtMalloc(&address, 512, ACL_MEM_MALLOC_HUGE_FIRST), 100001,
                  "aclrtMalloc: called before aclInit; call aclInit first");
}

TEST(a_call_after_aclFinalize_is_refused) {
    begin();
    CHECK_EQUAL(aclFinalize(), 0);
    CHECK_REFUSED(aclrtSetDevice(0), 100001, "called after aclFinalize");
}

TEST(bytes_go_there_and_back) {
    begin();
    auto* memory = device_memory(4096);
    char sent[4096];
    char received[4096] = {};
    std::memset(sent, 42, sizeof sent);
    CHECK_EQUAL(aclrtMemcpy(memory, 4096, sent, 4096, ACL_MEMCPY_HOST_TO_DEVICE), 0);
    CHECK_EQUAL(aclrtMemcpy(received, 4096, memory, 4096, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    CHECK_EQUAL(std::memcmp(sent, received, 4096), 0);
    CHECK_EQUAL(aclrtFree(memory), 0);
}

TEST(new_memory_is_poisoned) {
    begin();
    auto* memory = device_memory(512);
    unsigned char received[512] = {};
    CHECK_EQUAL(aclrtMemcpy(received, 512, memory, 512, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    CHECK_EQUAL(received[0], 0xCB);
    CHECK_EQUAL(received[511], 0xCB);
    CHECK_EQUAL(aclrtFree(memory), 0);
}

TEST(a_host_access_to_device_memory_faults) {
    begin();
    auto* memory = device_memory<volatile char>(512);
    std::printf("%d\n", memory[0]);
}

TEST(copies_of_the_wrong_kind_are_refused) {
    begin();
    auto* memory = device_memory(512);
    char host[512] = {};
    CHECK_REFUSED(aclrtMemcpy(memory, 512, host, 512, ACL_MEMCPY_DEVICE_TO_HOST), 107000,
                  "kind must fit the addresses, got ACL_MEMCPY_DEVICE_TO_HOST: the destination");
    CHECK_REFUSED(aclrtMemcpyAsync(host, 512, memory, 512, ACL_MEMCPY_HOST_TO_DEVICE, nullptr),
                  107000, "is device memory");
    CHECK_REFUSED(aclrtMemcpy(memory, 512, memory, 512, ACL_MEMCPY_HOST_TO_HOST), 107000,
                  "ACL_MEMCPY_HOST_TO_HOST");
    CHECK_REFUSED(aclrtMemcpy(memory, 100, host, 512, ACL_MEMCPY_HOST_TO_DEVICE), 107000,
                  "count must be at most destMax, 100, got 512");
    CHECK_EQUAL(aclrtFree(memory), 0);
}

TEST(a_copy_past_the_end_of_a_block_is_refused) {
    begin();
    auto* memory = device_memory<char>(1024);
    char host[1024] = {};
    CHECK_REFUSED(aclrtMemcpy(host, 1024, memory + 512, 1024, ACL_MEMCPY_DEVICE_TO_HOST), 107000,
                  "reach past the end of their block: 512 bytes into a block of 1024 bytes");
    CHECK_EQUAL(aclrtFree(memory), 0);
}

// Not inlined, so that its name is in the stack of the free.
extern "C" __attribute__((noinline)) void the_function_that_frees(void* memory) {
    CHECK_EQUAL(aclrtFree(memory), 0);
}

TEST(a_use_of_freed_memory_shows_the_stack_of_the_free) {
    begin();
    auto* memory = device_memory<char>(2048);
    the_function_that_frees(memory);
    char host[16] = {};
    const int code = aclrtMemcpy(host, 16, memory + 100, 16, ACL_MEMCPY_DEVICE_TO_HOST);
    const std::string message = aclGetRecentErrMsg();
    CHECK_EQUAL(code, 107000);
    CHECK(message.find("is freed memory, 100 bytes into a block of 2048 bytes. The block was "
                       "freed by:") != std::string::npos);
    CHECK(message.find("the_function_that_frees") != std::string::npos);
}

TEST(freeing_twice_or_what_was_never_allocated_is_refused) {
    begin();
    auto* memory = device_memory(512);
    CHECK_EQUAL(aclrtFree(memory), 0);
    CHECK_REFUSED(aclrtFree(memory), 107000, "is freed memory");
    int local = 0;
    CHECK_REFUSED(aclrtFree(&local), 107000, "is not an address that AscendCL returned");
    void* pinned = nullptr;
    CHECK_EQUAL(aclrtMallocHost(&pinned, 512), 0);
    CHECK_REFUSED(aclrtFree(pinned), 107000, "cannot free");
    CHECK_EQUAL(aclrtFreeHost(pinned), 0);
}

TEST(a_device_has_the_memory_of_its_option) {  // run with 64 MB
    begin();
    std::size_t free_bytes = 0;
    std::size_t total = 0;
    CHECK_EQUAL(aclrtGetMemInfo(ACL_HBM_MEM, &free_bytes, &total), 0);
    CHECK_EQUAL(total, 64 << 20);
    auto* memory = device_memory(40 << 20);
    void* more = nullptr;
    CHECK_REFUSED(aclrtMalloc(&more, 40 << 20, ACL_MEM_MALLOC_HUGE_FIRST), 207001,
                  "is out of memory");
    CHECK_EQUAL(aclrtFree(memory), 0);
    CHECK_EQUAL(aclrtMalloc(&more, 40 << 20, ACL_MEM_MALLOC_HUGE_FIRST), 0);
    CHECK_EQUAL(aclrtFree(more), 0);
}

TEST(more_than_there_can_be_is_out_of_memory_too) {
    begin();
    void* memory = nullptr;
    void* pinned = nullptr;
    CHECK_REFUSED(aclrtMalloc(&memory, SIZE_MAX, ACL_MEM_MALLOC_HUGE_FIRST), 207001,
                  "is out of memory");
    CHECK_REFUSED(aclrtMalloc(&memory, SIZE_MAX - 1000, ACL_MEM_MALLOC_HUGE_FIRST), 207001,
                  "is out of memory");
    CHECK_REFUSED(aclrtMallocHost(&pinned, SIZE_MAX), 207001, "the host cannot pin");
}

TEST(a_copy_from_or_to_nowhere_is_refused) {
    begin();
    auto* memory = device_memory(512);
    CHECK_REFUSED(aclrtMemcpy(memory, 512, nullptr, 512, ACL_MEMCPY_HOST_TO_DEVICE), 107000,
                  "the source must not be null");
    CHECK_REFUSED(aclrtMemcpyAsync(nullptr, 8, memory, 8, ACL_MEMCPY_DEVICE_TO_HOST, nullptr),
                  107000, "the destination must not be null");
}

TEST(addresses_reveal_what_they_are) {
    begin();
    auto* memory = device_memory<char>(512);
    void* pinned = nullptr;
    CHECK_EQUAL(aclrtMallocHost(&pinned, 512), 0);
    int local = 0;
    aclrtPtrAttributes attributes;
    CHECK_EQUAL(aclrtPointerGetAttributes(memory + 5, &attributes), 0);
    CHECK_EQUAL(attributes.location.type, ACL_MEM_LOCATION_TYPE_DEVICE);
    CHECK_EQUAL(aclrtPointerGetAttributes(pinned, &attributes), 0);
    CHECK_EQUAL(attributes.location.type, ACL_MEM_LOCATION_TYPE_HOST);
    CHECK_EQUAL(aclrtPointerGetAttributes(&local, &attributes), 0);
    CHECK_EQUAL(attributes.location.type, ACL_MEM_LOCATION_TYPE_UNREGISTERED);
    CHECK_EQUAL(aclrtFree(memory), 0);
    CHECK_EQUAL(aclrtFreeHost(pinned), 0);
}

TEST(mapped_memory_works_and_unmapped_memory_does_not) {
    begin();
    constexpr std::size_t bytes = 2 << 20;
    void* range = nullptr;
    aclrtDrvMemHandle first = nullptr;
    aclrtDrvMemHandle second = nullptr;
    aclrtPhysicalMemProp properties = {};
    CHECK_EQUAL(aclrtReserveMemAddress(&range, 4 * bytes, 0, nullptr, 0), 0);
    CHECK_EQUAL(aclrtMallocPhysical(&first, bytes, &properties, 0), 0);
    CHECK_EQUAL(aclrtMallocPhysical(&second, bytes, &properties, 0), 0);
    char* base = static_cast<char*>(range);
    CHECK_EQUAL(aclrtMapMem(base, bytes, 0, first, 0), 0);
    CHECK_EQUAL(aclrtMapMem(base + bytes, bytes, 0, second, 0), 0);
    // An access may cross from one segment into the next.
    CHECK_EQUAL(aclrtMemset(base + bytes - 64, 128, 1, 128), 0);
    CHECK_REFUSED(aclrtMemset(base + 2 * bytes, 64, 1, 64), 107000, "no memory is mapped");
    CHECK_EQUAL(aclrtUnmapMem(base), 0);
    CHECK_REFUSED(aclrtMemset(base, 64, 1, 64), 107000, "is freed memory");
    CHECK_EQUAL(aclrtUnmapMem(base + bytes), 0);
    CHECK_EQUAL(aclrtFreePhysical(first), 0);
    CHECK_EQUAL(aclrtFreePhysical(second), 0);
    CHECK_EQUAL(aclrtReleaseMemAddress(range), 0);
}

TEST(physical_memory_is_checked_as_other_handles_are) {
    begin();
    constexpr std::size_t bytes = 2 << 20;
    void* range = nullptr;
    aclrtDrvMemHandle handle = nullptr;
    aclrtPhysicalMemProp properties = {};
    CHECK_EQUAL(aclrtReserveMemAddress(&range, bytes, 0, nullptr, 0), 0);
    CHECK_EQUAL(aclrtMallocPhysical(&handle, bytes, &properties, 0), 0);
    CHECK_REFUSED(aclrtMapMem(range, 2 * bytes, 0, handle, 0), 107000,
                  "the range must lie in a reserved one where nothing is mapped");
    CHECK_REFUSED(aclrtMapMem(&range, 8, 0, handle, 0), 107000,
                  "the range must lie in a reserved one where nothing is mapped");
    CHECK_EQUAL(aclrtFreePhysical(handle), 0);
    CHECK_REFUSED(aclrtFreePhysical(handle), 107000, "was destroyed before this call");
    CHECK_REFUSED(aclrtMapMem(range, bytes, 0, handle, 0), 107000, "physical memory 0x");
}

TEST(memory_that_is_freed_is_shared_no_more) {
    begin();
    char first[65] = {};
    char second[65] = {};
    void* imported = nullptr;
    auto* memory = device_memory(4096);
    CHECK_EQUAL(aclrtIpcMemGetExportKey(memory, 4096, first, sizeof first, 0), 0);
    CHECK_EQUAL(aclrtIpcMemGetExportKey(memory, 4096, second, sizeof second, 0), 0);
    CHECK_EQUAL(std::strcmp(first, second), 0);
    CHECK_EQUAL(aclrtFree(memory), 0);
    CHECK_REFUSED(aclrtIpcMemImportByKey(&imported, first, 0), 107000, "has freed the memory");
    auto* other = device_memory(4096);
    CHECK_EQUAL(aclrtIpcMemGetExportKey(other, 4096, second, sizeof second, 0), 0);
    CHECK(std::strcmp(first, second) != 0);
    CHECK_EQUAL(aclrtFree(other), 0);
}

TEST(what_is_left_at_exit_is_reported) {
    begin();
    aclrtDrvMemHandle handle = nullptr;
    aclrtPhysicalMemProp properties = {};
    CHECK_EQUAL(aclrtMallocPhysical(&handle, 512, &properties, 0), 0);
    device_memory(512);
    new_stream();
    new_event();
}

TEST(nothing_left_is_nothing_reported) {
    begin();
    CHECK_EQUAL(aclrtFree(device_memory(512)), 0);
    CHECK_EQUAL(aclrtDestroyStream(new_stream()), 0);
    CHECK_EQUAL(aclrtDestroyEvent(new_event()), 0);
}

TEST(a_fault_fails_the_nth_call) {  // run with aclrtMalloc:3:207001
    begin();
    device_memory(512);
    device_memory(512);
    void* address = nullptr;
    CHECK_REFUSED(aclrtMalloc(&address, 512, ACL_MEM_MALLOC_HUGE_FIRST), 207001,
                  "call 3 fails because ASCEND_EMULATOR_FAULT sets code 207001");
    device_memory(512);
}

TEST(options_that_cannot_be_read_fail_aclInit) {  // run with bad ones
    CHECK(aclInit(nullptr) != 0);
    std::printf("%s\n", aclGetRecentErrMsg());
}
