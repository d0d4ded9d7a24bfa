// HCCL's handles and the arguments it refuses, in a group of one rank. test_distributed.py tests
// several ranks.
#include "check.h"

extern "C" {
struct RootInfo {
    char internal[4108];
};
int HcclGetRootInfo(RootInfo*);
int HcclCommInitRootInfo(uint32_t size, const RootInfo*, uint32_t rank, void** group);
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
