// HCCL's handles, the arguments it refuses, and groups of one process. test_distributed.py tests
// several processes.
#include <vector>

#include "check.h"

extern "C" {
struct RootInfo {
    char internal[4108];
};
int HcclGetRootInfo(RootInfo*);
int HcclCommInitRootInfo(uint32_t size, const RootInfo*, uint32_t rank, void** group);
int HcclCommInitAll(uint32_t ndev, int32_t* devices, void** groups);
int HcclCommDestroy(void* group);
int HcclAllReduce(void* from, void* to, uint64_t count, int type, int op, void* group, void*);
int HcclAlltoAll(const void* from, uint64_t sent, int sent_type, const void* to, uint64_t received,
                 int received_type, void* group, void* stream);
}

namespace {

constexpr int fp32 = 4;
constexpr int sum = 0;

void* new_group() {
    RootInfo info;
    void* group = nullptr;
    CHECK_EQUAL(HcclGetRootInfo(&info), 0);
    CHECK_EQUAL(HcclCommInitRootInfo(1, &info, 0, &group), 0);
    return group;
}

int reduce(void* memory, void* group) {
    return HcclAllReduce(memory, memory, 128, fp32, sum, group, nullptr);
}

}  // namespace

TEST(a_group_that_was_destroyed_is_recognised) {
    begin();
    void* group = new_group();
    void* memory = device_memory(512);
    CHECK_EQUAL(reduce(memory, group), 0);
    CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
    CHECK_EQUAL(HcclCommDestroy(group), 0);
    CHECK_REFUSED(reduce(memory, group), 1, "was destroyed before this call");
    CHECK_REFUSED(HcclCommDestroy(group), 1, "communicator 0x");
}

TEST(a_collective_on_freed_memory_is_refused) {
    begin();
    void* group = new_group();
    void* memory = device_memory(512);
    CHECK_EQUAL(aclrtFree(memory), 0);
    CHECK_REFUSED(reduce(memory, group), 1, "is freed memory");
    CHECK_REFUSED(HcclAlltoAll(memory, 1, fp32, memory, 1, fp32, group, nullptr), 1,
                  "is freed memory");
}

TEST(a_group_that_is_left_is_a_leak) {
    begin();
    new_group();
}

TEST(a_fault_fails_a_collective_with_its_code) {
    begin();
    void* group = new_group();
    CHECK_REFUSED(reduce(device_memory(512), group), 4, "sets code 4");
}

TEST(a_thousand_groups_lose_nothing) {
    begin();
    for (int i = 0; i < 1000; ++i) {
        CHECK_EQUAL(HcclCommDestroy(new_group()), 0);
    }
}

TEST(one_process_is_all_ranks_of_a_group) {
    begin();
    constexpr int ranks = 3;
    int32_t devices[ranks] = {2, 0, 1};
    void* groups[ranks];
    CHECK_EQUAL(HcclCommInitAll(ranks, devices, groups), 0);
    float* memory[ranks];
    for (int rank = 0; rank < ranks; ++rank) {
        CHECK_EQUAL(aclrtSetDevice(devices[rank]), 0);
        memory[rank] = device_memory<float>(128 * sizeof(float));
        const std::vector<float> values(128, static_cast<float>(rank + 1));
        CHECK_EQUAL(aclrtMemcpy(memory[rank], 512, values.data(), 512, ACL_MEMCPY_HOST_TO_DEVICE),
                    0);
        CHECK_EQUAL(reduce(memory[rank], groups[rank]), 0);  // runs when all ranks have called it
    }
    for (int rank = 0; rank < ranks; ++rank) {
        CHECK_EQUAL(aclrtSetDevice(devices[rank]), 0);
        CHECK_EQUAL(aclrtSynchronizeDevice(), 0);
        std::vector<float> values(128);
        CHECK_EQUAL(aclrtMemcpy(values.data(), 512, memory[rank], 512, ACL_MEMCPY_DEVICE_TO_HOST),
                    0);
        CHECK_EQUAL(values.back(), 6);
        CHECK_EQUAL(aclrtFree(memory[rank]), 0);
    }
    for (void* group : groups) {
        CHECK_EQUAL(HcclCommDestroy(group), 0);
    }
}

TEST(a_group_of_one_process_needs_devices_that_differ) {
    begin();
    void* groups[2];
    int32_t twice[] = {1, 1};
    CHECK_REFUSED(HcclCommInitAll(2, twice, groups), 1, "devices[1] must be 0 to 3 and not be");
    int32_t absent[] = {0, 4};
    CHECK_REFUSED(HcclCommInitAll(2, absent, groups), 1, "got 4");
    CHECK_REFUSED(HcclCommInitAll(0, absent, groups), 1, "ndev must be 1 to 64, got 0");
    CHECK_REFUSED(HcclCommInitAll(2, nullptr, groups), 2, "devices");
    CHECK_REFUSED(HcclCommInitAll(2, absent, nullptr), 2, "comms");
}
