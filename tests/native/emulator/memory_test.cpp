// Device memory: addresses, limits, poison, copies, and the ways of misusing it.
#include <string>
#include <utility>

#include "check.h"

TEST(before_CANN_9_a_call_before_aclInit_is_refused) {
    void* address = nullptr;
    CHECK_REFUSED(aclrtMalloc(&address, 512, ACL_MEM_MALLOC_HUGE_FIRST), 100001,
                  "aclrtMalloc: called before aclInit; call aclInit first");
}

TEST(a_call_before_aclInit_initialises) {
    CHECK_EQUAL(aclrtSetDevice(0), 0);
    CHECK_EQUAL(aclInit(nullptr), 0);
    CHECK_REFUSED(aclInit(nullptr), 100002, "was called before; call aclFinalize first");
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

TEST(rows_are_copied_between_pitches) {
    begin();
    auto* memory = device_memory<char>(64);
    CHECK_EQUAL(aclrtMemset(memory, 64, 0, 64), 0);
    const char sent[3][4] = {"abc", "def", "ghi"};
    char received[64] = {};
    CHECK_EQUAL(aclrtMemcpy2d(memory, 16, sent, 4, 3, 3, ACL_MEMCPY_HOST_TO_DEVICE), 0);
    CHECK_EQUAL(aclrtMemcpy(received, 64, memory, 64, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    CHECK(std::string(received) == "abc" && std::string(received + 16) == "def");
    CHECK_EQUAL(received[32], 'g');
    CHECK_REFUSED(aclrtMemcpy2d(memory, 2, sent, 4, 3, 3, ACL_MEMCPY_HOST_TO_DEVICE), 107000,
                  "width must be at most the pitches, 2 and 4, got 3");
    CHECK_REFUSED(
        aclrtMemcpy2dAsync(memory, 400, sent, 4, 3, 3, ACL_MEMCPY_HOST_TO_DEVICE, nullptr), 107000,
        "outside all allocations");
}

TEST(a_batch_is_copied_or_refused_as_a_whole) {
    begin();
    auto* memory = device_memory<char>(64);
    char first[8] = "first";
    char second[8] = "second";
    void* to[] = {memory, memory + 8};
    void* from[] = {first, second};
    std::size_t capacities[] = {8, 4};
    std::size_t sizes[] = {8, 8};
    std::size_t failed = 0;
    CHECK_REFUSED(aclrtMemcpyBatch(to, capacities, from, sizes, 2, nullptr, nullptr, 0, &failed),
                  107000, "count must be at most destMax, 4, got 8");
    CHECK_EQUAL(failed, 1);
    capacities[1] = 8;
    CHECK_EQUAL(aclrtMemcpyBatchAsync(to, capacities, from, sizes, 2, nullptr, nullptr, 0, &failed,
                                      nullptr),
                0);
    CHECK_EQUAL(aclrtSynchronizeStream(nullptr), 0);
    char received[16] = {};
    CHECK_EQUAL(aclrtMemcpy(received, 16, memory, 16, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    CHECK(std::string(received) == "first" && std::string(received + 8) == "second");
}

TEST(registered_host_memory_has_a_size_and_is_unregistered_once) {
    begin();
    static char memory[8192];
    void* device = nullptr;
    CHECK_REFUSED(aclrtHostRegisterV2(memory, 0, ACL_HOST_REG_PINNED), 107000,
                  "size must be positive");
    CHECK_REFUSED(aclrtHostGetDevicePointer(memory, &device, 0), 107000, "registered or pinned");
    CHECK_EQUAL(aclrtHostRegisterV2(memory, 4096, ACL_HOST_REG_PINNED), 0);
    CHECK_REFUSED(aclrtHostRegisterV2(memory + 100, 8, ACL_HOST_REG_PINNED), 107000,
                  "must not be registered already");
    CHECK_EQUAL(aclrtHostRegisterV2(memory + 4096, 4096, ACL_HOST_REG_PINNED), 0);
    CHECK_EQUAL(aclrtHostGetDevicePointer(memory + 5000, &device, 0), 0);
    CHECK(device == memory + 5000);
    aclrtPtrAttributes attributes;
    CHECK_EQUAL(aclrtPointerGetAttributes(memory + 10, &attributes), 0);
    CHECK_EQUAL(attributes.location.type, ACL_MEM_LOCATION_TYPE_HOST);
    CHECK_EQUAL(aclrtHostUnregister(memory), 0);
    CHECK_EQUAL(aclrtPointerGetAttributes(memory + 10, &attributes), 0);
    CHECK_EQUAL(attributes.location.type, ACL_MEM_LOCATION_TYPE_UNREGISTERED);
    CHECK_REFUSED(aclrtHostUnregister(memory), 107000, "must be the beginning of a range");
}

TEST(physical_memory_of_the_host_can_be_accessed_where_it_is_mapped) {
    begin();
    aclrtPhysicalMemProp on_host = {};
    on_host.location.type = ACL_MEM_LOCATION_TYPE_HOST;
    aclrtDrvMemHandle physical = nullptr;
    void* range = nullptr;
    constexpr std::size_t size = 2 << 20;
    CHECK_EQUAL(aclrtMallocPhysical(&physical, size, &on_host, 0), 0);
    CHECK_EQUAL(aclrtReserveMemAddress(&range, 2 * size, 0, nullptr, 0), 0);
    CHECK_EQUAL(aclrtMapMem(range, size, 0, physical, 0), 0);
    std::memset(range, 5, size);
    char received = 0;
    CHECK_EQUAL(aclrtMemcpy(&received, 1, range, 1, ACL_MEMCPY_HOST_TO_HOST), 0);
    CHECK_EQUAL(received, 5);
    CHECK_EQUAL(aclrtFreePhysical(physical), 0);
    static_cast<char*>(range)[size - 1] = 6;  // mapped memory lives until it is unmapped
    CHECK_EQUAL(aclrtUnmapMem(range), 0);
    CHECK_EQUAL(aclrtReleaseMemAddress(range), 0);
}

TEST(physical_memory_keeps_its_content_in_every_mapping) {
    begin();
    aclrtPhysicalMemProp properties = {};
    properties.location.type = ACL_MEM_LOCATION_TYPE_DEVICE;
    aclrtDrvMemHandle physical = nullptr;
    aclrtDrvMemHandle retained = nullptr;
    void* first = nullptr;
    void* second = nullptr;
    constexpr std::size_t size = 2 << 20;
    CHECK_EQUAL(aclrtMallocPhysical(&physical, size, &properties, 0), 0);
    CHECK_EQUAL(aclrtReserveMemAddress(&first, size, 0, nullptr, 0), 0);
    CHECK_EQUAL(aclrtReserveMemAddress(&second, size, 0, nullptr, 0), 0);
    CHECK_EQUAL(aclrtMapMem(first, size, 0, physical, 0), 0);
    CHECK_EQUAL(aclrtMapMem(second, size / 2, size / 2, physical, 0), 0);
    CHECK_EQUAL(aclrtMemset(static_cast<char*>(first) + size / 2, 1, 9, 1), 0);
    char received = 0;
    CHECK_EQUAL(aclrtMemcpy(&received, 1, second, 1, ACL_MEMCPY_DEVICE_TO_HOST), 0);
    CHECK_EQUAL(received, 9);
    CHECK_EQUAL(aclrtMemRetainAllocationHandle(second, &retained), 0);
    std::uint64_t key = 0;
    aclrtDrvMemHandle imported = nullptr;
    CHECK_EQUAL(aclrtMemExportToShareableHandle(physical, ACL_MEM_HANDLE_TYPE_NONE, 0, &key), 0);
    CHECK_EQUAL(aclrtMemImportFromShareableHandle(key, 0, &imported), 0);
    CHECK_EQUAL(aclrtUnmapMem(second), 0);
    CHECK_EQUAL(aclrtMapMem(second, size, 0, imported, 0), 0);
    CHECK_EQUAL(aclrtMemcpy(&received, 1, static_cast<char*>(second) + size / 2, 1,
                            ACL_MEMCPY_DEVICE_TO_HOST),
                0);
    CHECK_EQUAL(received, 9);
    CHECK_REFUSED(aclrtMapMem(first, size, 1, physical, 0), 107000, "nothing is mapped");
    for (void* range : {first, second}) {
        CHECK_EQUAL(aclrtUnmapMem(range), 0);
        CHECK_EQUAL(aclrtReleaseMemAddress(range), 0);
    }
    for (aclrtDrvMemHandle handle : {physical, retained, imported}) {
        CHECK_EQUAL(aclrtFreePhysical(handle), 0);
    }
    CHECK_REFUSED(aclrtMemImportFromShareableHandle(key, 0, &imported), 107000,
                  "has freed the memory");
}

TEST(half_precision_rounds_to_the_nearest_even) {
    const std::pair<float, aclFloat16> pairs[] = {
        {0.0F, 0x0000},           {-0.0F, 0x8000},         {1.0F, 0x3C00},
        {65504.0F, 0x7BFF},       {65519.0F, 0x7BFF},      {65520.0F, 0x7C00},
        {2049.0F, 0x6800},        {2051.0F, 0x6802},       {5.9604645e-8F, 0x0001},
        {2.98023224e-8F, 0x0000}, {2.9802326e-8F, 0x0001}, {6.1035156e-5F, 0x0400},
        {6.0975552e-5F, 0x03FF},  {-2.5F, 0xC100}};
    for (const auto& [value, half] : pairs) {
        CHECK_EQUAL(aclFloatToFloat16(value), half);
    }
    for (unsigned half = 0; half < 0x10000; ++half) {  // every half is a float
        const float value = aclFloat16ToFloat(static_cast<aclFloat16>(half));
        CHECK(value != value || aclFloatToFloat16(value) == half);
    }
    CHECK_EQUAL(aclDataTypeSize(ACL_BF16), 2);
}
