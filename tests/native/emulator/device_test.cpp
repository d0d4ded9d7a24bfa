// Devices, contexts, and what a thread works in.
#include <cstdlib>
#include <thread>

#include "check.h"

TEST(a_process_sees_the_devices_that_the_variable_selects) {  // run with DEVICES=4
    // CANN documents that a character other than digits and commas ends the list.
    CHECK_EQUAL(setenv("ASCEND_RT_VISIBLE_DEVICES", "3,1, 0", 1), 0);
    begin();
    std::uint32_t count = 0;
    CHECK_EQUAL(aclrtGetDeviceCount(&count), 0);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(aclrtSetDevice(1), 0);
    CHECK_REFUSED(aclrtSetDevice(2), 200002, "device must be 0 to 1, got 2");
    aclrtUuid uuid;
    CHECK_EQUAL(aclrtDeviceGetUuid(0, &uuid), 0);
    CHECK_EQUAL(std::strcmp(uuid.bytes, "emulated-npu-3"), 0);
}

TEST(a_device_that_does_not_exist_ends_the_visible_ones) {  // run with DEVICES=4
    CHECK_EQUAL(setenv("ASCEND_RT_VISIBLE_DEVICES", "2,4,1", 1), 0);
    std::uint32_t count = 0;
    CHECK_EQUAL(aclrtGetDeviceCount(&count), 0);
    CHECK_EQUAL(count, 1);
}

TEST(each_thread_has_a_context_of_its_own) {
    begin();
    aclrtContext primary = nullptr;
    CHECK_EQUAL(aclrtGetCurrentContext(&primary), 0);
    aclrtContext created = nullptr;
    CHECK_EQUAL(aclrtCreateContext(&created, 1), 0);
    aclrtContext current = nullptr;
    CHECK_EQUAL(aclrtGetCurrentContext(&current), 0);
    CHECK(current == created && created != primary);
    std::int32_t device = -1;
    CHECK_EQUAL(aclrtGetDevice(&device), 0);
    CHECK_EQUAL(device, 1);
    std::thread([&] {
        aclrtContext other = nullptr;
        CHECK_EQUAL(aclrtGetCurrentContext(&other), 107002);
        CHECK_EQUAL(aclrtSetCurrentContext(primary), 0);
        CHECK_EQUAL(aclrtGetCurrentContext(&other), 0);
        CHECK(other == primary);
    }).join();
    CHECK_EQUAL(aclrtGetCurrentContext(&current), 0);
    CHECK(current == created);
    CHECK_EQUAL(aclrtSetDevice(0), 0);
    CHECK_EQUAL(aclrtGetCurrentContext(&current), 0);
    CHECK(current == primary);
    CHECK_EQUAL(aclrtDestroyContext(created), 0);
    CHECK_REFUSED(aclrtSetCurrentContext(created), 107002, "was destroyed before this call");
    CHECK_REFUSED(aclrtDestroyContext(primary), 107000, "the primary context of device 0");
    CHECK_EQUAL(aclrtResetDeviceForce(0), 0);
    CHECK_EQUAL(aclrtGetCurrentContext(&current), 107002);
}

TEST(each_context_has_a_default_stream_of_its_own) {
    begin();
    aclrtStream of_primary = nullptr;
    CHECK_EQUAL(aclrtCtxGetCurrentDefaultStream(&of_primary), 0);
    aclrtContext created = nullptr;
    CHECK_EQUAL(aclrtCreateContext(&created, 0), 0);
    aclrtStream of_created = nullptr;
    CHECK_EQUAL(aclrtCtxGetCurrentDefaultStream(&of_created), 0);
    CHECK(of_created != of_primary);
    CHECK_EQUAL(aclrtSynchronizeStream(nullptr), 0);
    std::thread([&] { CHECK_EQUAL(aclrtDestroyContext(created), 0); }).join();
    CHECK_REFUSED(aclrtMemsetAsync(nullptr, 0, 0, 0, nullptr), 107017,
                  "was destroyed before this call");
    CHECK_EQUAL(aclrtSetDevice(0), 0);
    CHECK_EQUAL(aclrtSynchronizeStream(nullptr), 0);
}

TEST(limits_of_cores_belong_to_devices_streams_and_threads) {
    begin();
    aclrtStream stream = new_stream();
    std::uint32_t value = 0;
    CHECK_EQUAL(aclrtSetDeviceResLimit(0, ACL_RT_DEV_RES_CUBE_CORE, 10), 0);
    CHECK_EQUAL(aclrtSetStreamResLimit(stream, ACL_RT_DEV_RES_CUBE_CORE, 4), 0);
    CHECK_REFUSED(aclrtSetStreamResLimit(stream, ACL_RT_DEV_RES_CUBE_CORE, 25), 107000,
                  "value must be 1 to 24, got 25");
    CHECK_EQUAL(aclrtGetResInCurrentThread(ACL_RT_DEV_RES_CUBE_CORE, &value), 0);
    CHECK_EQUAL(value, 10);
    CHECK_EQUAL(aclrtUseStreamResInCurrentThread(stream), 0);
    CHECK_EQUAL(aclrtGetResInCurrentThread(ACL_RT_DEV_RES_CUBE_CORE, &value), 0);
    CHECK_EQUAL(value, 4);
    CHECK_EQUAL(aclrtUnuseStreamResInCurrentThread(stream), 0);
    CHECK_EQUAL(aclrtResetStreamResLimit(stream), 0);
    CHECK_EQUAL(aclrtGetStreamResLimit(stream, ACL_RT_DEV_RES_CUBE_CORE, &value), 0);
    CHECK_EQUAL(value, 10);
    CHECK_EQUAL(aclrtResetDeviceResLimit(0), 0);
    CHECK_EQUAL(aclrtGetDeviceResLimit(0, ACL_RT_DEV_RES_CUBE_CORE, &value), 0);
    CHECK_EQUAL(value, 24);
}
