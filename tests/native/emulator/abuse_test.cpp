// Abuses of the C API: each returns an error, and the process lives.
#include "aclnn_api.h"
#include "check.h"

#include <acl/acl_op_compiler.h>

#include <iterator>

#include "child.h"

extern "C" {
int aclnnAddGetWorkspaceSize(const aclTensor*, const aclTensor*, const aclScalar*, const aclTensor*,
                             uint64_t*, aclOpExecutor**);
int aclnnAdd(void*, uint64_t, aclOpExecutor*, void*);
int HcclGetRootInfo(void*);
int HcclCommInitRootInfo(uint32_t, const void*, uint32_t, void**);
int HcclCommDestroy(void*);
int HcclGetCommName(void*, char*);
int HcclGetRankSize(void*, uint32_t*);
int HcclGetRankId(void*, uint32_t*);
int HcclGetCommAsyncError(void*, int*);
int HcclAllReduce(void*, void*, uint64_t, int, int, void*, void*);
int HcclBroadcast(void*, uint64_t, int, uint32_t, void*, void*);
int HcclBarrier(void*, void*);
int HcclSend(void*, uint64_t, int, uint32_t, void*, void*);
int HcclAlltoAllV(const void*, const void*, const void*, int, const void*, const void*, const void*,
                  int, void*, void*);
}

namespace {

constexpr int64_t huge = int64_t{1} << 40;
constexpr int64_t sizes[] = {2, 2};
char host[4096];

void* const wild = reinterpret_cast<void*>(0x7123456789a8);
void* const low = reinterpret_cast<void*>(16);

template <class T>
T* as(void* address) {
    return static_cast<T*>(address);
}

/// The code of a function that returns a pointer, which is null if it fails.
int made(const void* pointer) { return pointer == nullptr ? 1 : 0; }

aclTensor* tensor(const int64_t* of_sizes, uint64_t rank, const int64_t* strides = nullptr,
                  aclDataType type = ACL_FLOAT, int64_t offset = 0) {
    const int64_t storage = 4;
    return aclCreateTensor(of_sizes, rank, type, strides, offset, ACL_FORMAT_ND, &storage, 1,
                           device_memory(512));
}

aclTensor* good() { return tensor(sizes, 2); }

aclScalar* one() {
    float value = 1;
    return aclCreateScalar(&value, ACL_FLOAT);
}

int add(const aclTensor* self, const aclTensor* other, const aclScalar* alpha,
        const aclTensor* out) {
    uint64_t workspace = 0;
    aclOpExecutor* executor = nullptr;
    return aclnnAddGetWorkspaceSize(self, other, alpha, out, &workspace, &executor);
}

int add_of(const aclTensor* self) { return add(self, good(), one(), good()); }
int add_to(const aclTensor* out) { return add(good(), good(), one(), out); }

aclrtStream destroyed_stream() {
    aclrtStream stream = new_stream();
    CHECK_EQUAL(aclrtDestroyStream(stream), 0);
    return stream;
}

void* group() {
    char info[4200];
    void* comm = nullptr;
    CHECK_EQUAL(HcclGetRootInfo(info), 0);
    CHECK_EQUAL(HcclCommInitRootInfo(1, info, 0, &comm), 0);
    return comm;
}

struct Row {
    const char* name;
    int (*abuse)();
};

const int64_t negative[] = {-1, 2};
const int64_t enormous[] = {huge, huge};
const int64_t other[] = {3};
const int64_t far[] = {1000, 1};
const int64_t backwards[] = {-1, 1};

const Row rows[] = {
    {"device count into null", [] { return aclrtGetDeviceCount(nullptr); }},
    {"device into null", [] { return aclrtGetDevice(nullptr); }},
    {"a device that does not exist", [] { return aclrtSetDevice(99); }},
    {"context into null", [] { return aclrtGetCurrentContext(nullptr); }},
    {"a wild context", [] { return aclrtSetCurrentContext(wild); }},
    {"memory as context", [] { return aclrtSetCurrentContext(host); }},
    {"memory info into null", [] { return aclrtGetMemInfo(ACL_HBM_MEM, nullptr, nullptr); }},
    {"peer access into null", [] { return aclrtDeviceCanAccessPeer(nullptr, 0, 0); }},
    {"memory into null", [] { return aclrtMalloc(nullptr, 512, ACL_MEM_MALLOC_HUGE_FIRST); }},
    {"memory of no bytes", [] { return aclrtMalloc(as<void*>(host), 0, {}); }},
    {"memory of 2^63 bytes", [] { return aclrtMalloc(as<void*>(host), 1ull << 63, {}); }},
    {"pinned memory into null", [] { return aclrtMallocHost(nullptr, 512); }},
    {"pinned memory of 2^50 bytes", [] { return aclrtMallocHost(as<void*>(host), 1ull << 50); }},
    {"free of null", [] { return aclrtFree(nullptr); }},
    {"free of a wild address", [] { return aclrtFree(wild); }},
    {"free of host memory", [] { return aclrtFree(host); }},
    {"free of pinned memory that is not", [] { return aclrtFreeHost(host); }},
    {"memcpy to null", [] { return aclrtMemcpy(nullptr, 4, host, 4, ACL_MEMCPY_HOST_TO_HOST); }},
    {"memcpy from null",
     [] { return aclrtMemcpy(device_memory(512), 4, nullptr, 4, ACL_MEMCPY_HOST_TO_DEVICE); }},
    {"memcpy from a low address",
     [] { return aclrtMemcpy(device_memory(512), 4, low, 4, ACL_MEMCPY_HOST_TO_DEVICE); }},
    {"memcpy of kind 77",
     [] { return aclrtMemcpy(host, 4, host + 8, 4, static_cast<aclrtMemcpyKind>(77)); }},
    {"memcpy of more than fits",
     [] { return aclrtMemcpy(host, 4, host + 8, 8, ACL_MEMCPY_HOST_TO_HOST); }},
    {"memcpy of 2^63 bytes",
     [] { return aclrtMemcpy(device_memory(512), ~0ull, host, ~0ull, ACL_MEMCPY_HOST_TO_DEVICE); }},
    {"memcpy on a wild stream",
     [] {
         return aclrtMemcpyAsync(device_memory(512), 4, host, 4, ACL_MEMCPY_HOST_TO_DEVICE, wild);
     }},
    {"memset of null", [] { return aclrtMemset(nullptr, 4, 0, 4); }},
    {"memset of a low address", [] { return aclrtMemset(low, 4, 0, 4); }},
    {"memset on memory as stream",
     [] { return aclrtMemsetAsync(device_memory(512), 4, 0, 4, host); }},
    {"attributes into null", [] { return aclrtPointerGetAttributes(host, nullptr); }},
    {"registering null", [] { return aclrtHostRegister(nullptr, 4, {}, as<void*>(host)); }},
    {"stream into null", [] { return aclrtCreateStream(nullptr); }},
    {"destroying a null stream", [] { return aclrtDestroyStream(nullptr); }},
    {"destroying a wild stream", [] { return aclrtDestroyStream(wild); }},
    {"destroying a stream twice", [] { return aclrtDestroyStream(destroyed_stream()); }},
    {"waiting for a wild stream", [] { return aclrtSynchronizeStream(wild); }},
    {"waiting for host memory", [] { return aclrtSynchronizeStream(host); }},
    {"waiting for device memory", [] { return aclrtSynchronizeStream(device_memory(512)); }},
    {"waiting for an event as a stream", [] { return aclrtSynchronizeStream(new_event()); }},
    {"waiting for a destroyed stream", [] { return aclrtSynchronizeStream(destroyed_stream()); }},
    {"querying a stream into null", [] { return aclrtStreamQuery(new_stream(), nullptr); }},
    {"stream id into null", [] { return aclrtStreamGetId(new_stream(), nullptr); }},
    {"a null host function", [] { return aclrtLaunchHostFunc(new_stream(), nullptr, nullptr); }},
    {"event into null", [] { return aclrtCreateEvent(nullptr); }},
    {"destroying a wild event", [] { return aclrtDestroyEvent(wild); }},
    {"destroying a stream as an event", [] { return aclrtDestroyEvent(new_stream()); }},
    {"recording a null event", [] { return aclrtRecordEvent(nullptr, new_stream()); }},
    {"recording on a wild stream", [] { return aclrtRecordEvent(new_event(), wild); }},
    {"waiting for a wild event", [] { return aclrtStreamWaitEvent(new_stream(), wild); }},
    {"event status into null", [] { return aclrtQueryEventStatus(new_event(), nullptr); }},
    {"elapsed time into null",
     [] { return aclrtEventElapsedTime(nullptr, new_event(), new_event()); }},
    {"capturing a wild stream",
     [] { return aclmdlRICaptureBegin(wild, ACL_MODEL_RI_CAPTURE_MODE_GLOBAL); }},
    {"running a wild graph", [] { return aclmdlRIExecuteAsync(wild, nullptr); }},
    {"destroying host memory as a graph", [] { return aclmdlRIDestroy(host); }},
    {"reserving into null", [] { return aclrtReserveMemAddress(nullptr, 512, 0, nullptr, 0); }},
    {"reserving 2^64 - 1 bytes",
     [] { return aclrtReserveMemAddress(as<void*>(host), ~0ull, 0, nullptr, 0); }},
    {"mapping wild memory", [] { return aclrtMapMem(host, 512, 0, wild, 0); }},
    {"importing no key", [] { return aclrtIpcMemImportByKey(as<void*>(host), nullptr, 0); }},
    {"importing a key of nonsense", [] { return aclrtIpcMemImportByKey(as<void*>(host), "x", 0); }},
    {"the version into null", [] { return aclsysGetCANNVersion({}, nullptr); }},
    {"a wild data buffer", [] { return aclDestroyDataBuffer(as<aclDataBuffer>(wild)); }},
    {"the address of host memory as a buffer",
     [] { return made(aclGetDataBufferAddr(as<aclDataBuffer>(host))); }},
    {"a descriptor of null dims",
     [] { return made(aclCreateTensorDesc(ACL_FLOAT, 2, nullptr, ACL_FORMAT_ND)); }},
    {"the dim of a null descriptor", [] { return aclGetTensorDescDimV2(nullptr, 0, nullptr); }},
    {"the format of a wild descriptor",
     [] { return aclSetTensorFormat(as<aclTensorDesc>(wild), ACL_FORMAT_ND); }},
    {"a wild attribute", [] { return aclopSetAttrInt(as<aclopAttr>(wild), "x", 1); }},
    {"an attribute without a name", [] { return aclopSetAttrInt(aclopCreateAttr(), nullptr, 1); }},
    {"an attribute of null text",
     [] { return aclopSetAttrString(aclopCreateAttr(), "x", nullptr); }},
    {"an operator without operands",
     [] {
         return aclopCompileAndExecute("Add", 2, nullptr, nullptr, 1, nullptr, nullptr, nullptr,
                                       ACL_ENGINE_SYS, ACL_COMPILE_SYS, nullptr, nullptr);
     }},
    {"an operator without a type",
     [] {
         return aclopCompileAndExecute(nullptr, 0, nullptr, nullptr, 0, nullptr, nullptr, nullptr,
                                       ACL_ENGINE_SYS, ACL_COMPILE_SYS, nullptr, nullptr);
     }},
    {"a tensor of null dims", [] { return made(tensor(nullptr, 2)); }},
    {"a tensor of 2^40 dims", [] { return made(tensor(sizes, huge)); }},
    {"destroying a wild tensor", [] { return aclDestroyTensor(as<aclTensor>(wild)); }},
    {"destroying host memory as a tensor", [] { return aclDestroyTensor(as<aclTensor>(host)); }},
    {"the dtype of a wild tensor",
     [] { return aclGetDataType(as<aclTensor>(wild), as<aclDataType>(host)); }},
    {"the dtype into null", [] { return aclGetDataType(good(), nullptr); }},
    {"the shape into null", [] { return aclGetViewShape(good(), nullptr, nullptr); }},
    {"a scalar of null", [] { return made(aclCreateScalar(nullptr, ACL_FLOAT)); }},
    {"a scalar of dtype 999",
     [] { return made(aclCreateScalar(host, static_cast<aclDataType>(999))); }},
    {"destroying a tensor as a scalar",
     [] { return aclDestroyScalar(reinterpret_cast<aclScalar*>(good())); }},
    {"an array of null", [] { return made(aclCreateIntArray(nullptr, 2)); }},
    {"an array of 2^40 numbers", [] { return made(aclCreateFloatArray(as<float>(host), huge)); }},
    {"an array of bools of null", [] { return made(aclCreateBoolArray(nullptr, 1)); }},
    {"destroying a wild array", [] { return aclDestroyIntArray(as<aclIntArray>(wild)); }},
    {"destroying an array of other elements",
     [] {
         float value = 1;
         return aclDestroyIntArray(reinterpret_cast<aclIntArray*>(aclCreateFloatArray(&value, 1)));
     }},
    {"a list of null", [] { return made(aclCreateTensorList(nullptr, 2)); }},
    {"a list of 2^40 scalars",
     [] { return made(aclCreateScalarList(as<const aclScalar*>(host), huge)); }},
    {"a list with a wild member",
     [] {
         const auto* member = as<const aclTensor>(wild);
         return aclDestroyTensorList(aclCreateTensorList(&member, 1));
     }},
    {"a wild executor", [] { return aclnnAdd(nullptr, 0, as<aclOpExecutor>(wild), nullptr); }},
    {"a null executor", [] { return aclnnAdd(nullptr, 0, nullptr, nullptr); }},
    {"repeating host memory as an executor",
     [] { return aclSetAclOpExecutorRepeatable(as<aclOpExecutor>(host)); }},
    {"destroying a wild executor", [] { return aclDestroyAclOpExecutor(as<aclOpExecutor>(wild)); }},
    {"phase 1 into null",
     [] { return aclnnAddGetWorkspaceSize(good(), good(), one(), good(), nullptr, nullptr); }},
    {"add of null", [] { return add(nullptr, good(), one(), good()); }},
    {"add without alpha", [] { return add(good(), good(), nullptr, good()); }},
    {"add to null", [] { return add_to(nullptr); }},
    {"add of a wild tensor", [] { return add_of(as<aclTensor>(wild)); }},
    {"add of host memory as a tensor", [] { return add_of(as<aclTensor>(host)); }},
    {"add of a scalar as a tensor", [] { return add_of(reinterpret_cast<aclTensor*>(one())); }},
    {"add with a tensor as alpha",
     [] { return add(good(), good(), reinterpret_cast<aclScalar*>(good()), good()); }},
    {"add to another shape", [] { return add_to(tensor(other, 1)); }},
    {"add of shapes that do not broadcast", [] { return add_of(tensor(other, 1)); }},
    {"add of negative dims", [] { return add_of(tensor(negative, 2)); }},
    {"add of enormous dims", [] { return add_of(tensor(enormous, 2)); }},
    {"add of dtype 999",
     [] { return add_of(tensor(sizes, 2, nullptr, static_cast<aclDataType>(999))); }},
    {"add of strides beyond the storage", [] { return add_of(tensor(sizes, 2, far)); }},
    {"add of negative strides", [] { return add_of(tensor(sizes, 2, backwards)); }},
    {"add of an offset beyond the storage",
     [] { return add_of(tensor(sizes, 2, nullptr, ACL_FLOAT, 3)); }},
    {"add of a negative offset", [] { return add_of(tensor(sizes, 2, nullptr, ACL_FLOAT, -1)); }},
    {"root info into null", [] { return HcclGetRootInfo(nullptr); }},
    {"a group of no root info",
     [] { return HcclCommInitRootInfo(1, nullptr, 0, as<void*>(host)); }},
    {"a group of 2^32 - 1 ranks",
     [] { return HcclCommInitRootInfo(~0u, host, 0, as<void*>(host + 8)); }},
    {"destroying a wild group", [] { return HcclCommDestroy(wild); }},
    {"destroying a group twice",
     [] {
         void* comm = group();
         CHECK_EQUAL(HcclCommDestroy(comm), 0);
         return HcclCommDestroy(comm);
     }},
    {"the name of a wild group", [] { return HcclGetCommName(wild, host); }},
    {"the name into null", [] { return HcclGetCommName(group(), nullptr); }},
    {"the size of host memory as a group",
     [] { return HcclGetRankSize(host, as<uint32_t>(host)); }},
    {"the rank into null", [] { return HcclGetRankId(group(), nullptr); }},
    {"the error of a null group", [] { return HcclGetCommAsyncError(nullptr, nullptr); }},
    {"a reduction of null", [] { return HcclAllReduce(nullptr, nullptr, 4, 4, 0, group(), {}); }},
    {"a reduction in a null group", [] { return HcclAllReduce(host, host, 4, 4, 0, nullptr, {}); }},
    {"a reduction of 2^64 - 1 elements",
     [] {
         void* memory = device_memory(512);
         return HcclAllReduce(memory, memory, ~0ull, 4, 0, group(), {});
     }},
    {"a broadcast from rank 99",
     [] { return HcclBroadcast(device_memory(512), 4, 4, 99, group(), {}); }},
    {"a barrier on a wild stream", [] { return HcclBarrier(group(), wild); }},
    {"a send to rank 99", [] { return HcclSend(device_memory(512), 4, 4, 99, group(), {}); }},
    {"an exchange without counts",
     [] {
         return HcclAlltoAllV(host, nullptr, nullptr, 4, host, nullptr, nullptr, 4, group(), {});
     }},
};

}  // namespace

TEST(each_abuse_returns_an_error) {
    int wrong = 0;
    for (const Row& row : rows) {
        const int end = in_child([&] {
            begin();
            _exit(row.abuse() != 0 ? 0 : 1);
        });
        if (end != 0) {
            ++wrong;
            std::printf("%s: %s %d\n", row.name, end < 0 ? "died of signal" : "returned 0;", end);
        }
    }
    CHECK_MESSAGE(wrong == 0, "%d of %zu abuses", wrong, std::size(rows));
}

TEST(a_message_names_the_argument_and_the_reason) {
    begin();
    CHECK_REFUSED(add_to(nullptr), 161001, "out must not be null");
    CHECK_REFUSED(add(nullptr, good(), one(), good()), 161001, "self must not be null");
    CHECK_REFUSED(add(good(), good(), nullptr, good()), 161001, "alpha must not be null");
    CHECK_REFUSED(add_to(tensor(other, 1)), 161002, "out must have shape [2, 2], got [3]");
    CHECK_REFUSED(add_of(tensor(other, 1)), 161002, "other must have a shape that broadcasts with");
    CHECK_REFUSED(add_of(tensor(negative, 2)), 161002,
                  "self must have sizes that are not negative");
    CHECK_REFUSED(add_of(tensor(sizes, 2, far)), 161002,
                  "self must lie within its storage of 4 elements, got sizes [2, 2], strides "
                  "[1000, 1]");
    CHECK_REFUSED(add_of(tensor(sizes, 2, nullptr, static_cast<aclDataType>(999))), 161002,
                  "self must have a dtype that is emulated, got aclDataType 999");
    CHECK_REFUSED(aclrtMemcpy(host, 4, host + 8, 4, static_cast<aclrtMemcpyKind>(77)), 107000,
                  "kind must fit the addresses, got 77, which is not a kind");
}
