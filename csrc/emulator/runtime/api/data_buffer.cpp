// The AscendCL functions of data buffers.
#include "emulator/interface/data_buffer.h"

#include "acl/acl_base.h"

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) {
    return new aclDataBuffer{data, size};
}

aclError aclDestroyDataBuffer(const aclDataBuffer* buffer) {
    delete buffer;
    return 0;
}

void* aclGetDataBufferAddr(const aclDataBuffer* buffer) { return buffer->data; }
size_t aclGetDataBufferSizeV2(const aclDataBuffer* buffer) { return buffer->size; }
