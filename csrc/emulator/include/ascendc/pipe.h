// TPipe, which assigns on-chip memory, and what it assigns it to: queues and TBuf.
#pragma once

#include <exception>

#include "ascendc/buffer.h"

namespace aicore {

using AscendC::TPosition;

/// The pipe that fills what lies at a position, and the pipe that takes from it.
constexpr Pipe filling_pipe(TPosition position) {
    return position == TPosition::VECOUT || position == TPosition::VECCALC ? Pipe::v
           : position == TPosition::A2 || position == TPosition::B2 || position == TPosition::C2 ||
                   position == TPosition::C2PIPE2GM
               ? Pipe::mte1
           : position == TPosition::CO1 ? Pipe::m
           : position == TPosition::CO2 ? Pipe::fix
                                        : Pipe::mte2;
}

constexpr Pipe taking_pipe(TPosition position) {
    return position == TPosition::VECOUT || position == TPosition::CO2 ? Pipe::mte3
           : position == TPosition::A1 || position == TPosition::B1 || position == TPosition::C1 ||
                   position == TPosition::TSCM
               ? Pipe::mte1
           : position == TPosition::A2 || position == TPosition::B2 || position == TPosition::C2
               ? Pipe::m
           : position == TPosition::CO1 || position == TPosition::C2PIPE2GM ? Pipe::fix
                                                                            : Pipe::v;
}

constexpr int most_buffers = 64;  // of a kernel

}  // namespace aicore

namespace AscendC {

struct TQueConfig {
    bool nd2nz = false;
    bool nz2nd = false;
    bool scmBlockGroup = false;
    std::uint32_t bufferLen = 0;
    std::uint32_t bufferNumber = 0;
    std::uint32_t consumerSize = 0;
    TPosition consumer[8] = {};
    bool enableStaticEvtId = false;
    bool enableLoopQueue = false;
};

class TPipe;

/// A queue whose buffers are filled for `source` and taken at `destination`.
template <TPosition source, TPosition destination, std::int32_t depth, auto mask = 0>
class TQueBind {
  public:
    static constexpr TPosition srcPosition = source;
    static constexpr TPosition dstPosition = destination;
    static constexpr aicore::Space memory =
        aicore::space_of(source == TPosition::GM ? destination : source);

    TQueBind() = default;
    TQueBind(const TQueBind&) = delete;
    TQueBind& operator=(const TQueBind&) = delete;
    ~TQueBind() {
        if (std::uncaught_exceptions() == 0 && aicore::core != nullptr) {
            check_freed();
            note_single_buffer();
        }
    }

    template <class T>
    LocalTensor<T> AllocTensor(aicore::Site site = aicore::Site::here()) {
        for (int tried = 0; tried < count_; ++tried) {
            aicore::Buffer& buffer = buffers_[next_];
            next_ = (next_ + 1) % count_;
            if (buffer.state == State::free) {
                buffer.state = State::allocated;
                buffer.site = site;
                ++uses_;
                aicore::core->wait_for(filler, buffer.freed);
                return tensor_of<T>(buffer);
            }
        }
        aicore::core->end("queue",
                          count_ == 0 ? "AllocTensor: the queue has no buffers; InitBuffer must "
                                        "come before it"
                                      : "AllocTensor: all " + std::to_string(count_) +
                                            " buffers of the queue are in use, and a device waits "
                                            "for ever; FreeTensor must come before it",
                          site);
    }
    template <class T>
    void AllocTensor(LocalTensor<T>& tensor, aicore::Site site = aicore::Site::here()) {
        tensor = AllocTensor<T>(site);
    }

    template <class T>
    bool EnQue(const LocalTensor<T>& tensor, aicore::Site site = aicore::Site::here()) {
        aicore::Buffer& buffer = own(tensor, "EnQue", site);
        if (buffer.state != State::allocated && buffer.state != State::dequeued) {
            aicore::core->end("queue", "EnQue of a tensor that is in the queue already", site);
        }
        constexpr int most = depth > 0 ? depth : 1;
        if (queued_ >= most && depth > 0) {
            aicore::core->report("queue",
                                 "EnQue: the queue's depth is " + std::to_string(depth) +
                                     ", and it holds " + std::to_string(queued_) +
                                     " tensors; DeQue must come before it",
                                 site);
        }
        buffer.state = State::queued;
        buffer.queued = aicore::core->snapshot(filler);
        order_[(first_ + queued_) % aicore::most_buffers] =
            static_cast<std::uint8_t>(&buffer - buffers_);
        ++queued_;
        return true;
    }
    template <TPosition from, TPosition to, class T>
    bool EnQue(const LocalTensor<T>& tensor, aicore::Site site = aicore::Site::here()) {
        return EnQue(tensor, site);
    }

    template <class T>
    LocalTensor<T> DeQue(aicore::Site site = aicore::Site::here()) {
        if (queued_ == 0) {
            aicore::core->end("queue",
                              "DeQue of an empty queue: a device reads what is not there yet; "
                              "EnQue must come before it",
                              site);
        }
        aicore::Buffer& buffer = buffers_[order_[first_]];
        first_ = (first_ + 1) % aicore::most_buffers;
        --queued_;
        buffer.state = State::dequeued;
        aicore::core->wait_for(taker, buffer.queued);
        return tensor_of<T>(buffer);
    }
    template <class T>
    void DeQue(LocalTensor<T>& tensor, aicore::Site site = aicore::Site::here()) {
        tensor = DeQue<T>(site);
    }
    template <TPosition from, TPosition to, class T>
    LocalTensor<T> DeQue(aicore::Site site = aicore::Site::here()) {
        return DeQue<T>(site);
    }

    template <class T>
    void FreeTensor(LocalTensor<T>& tensor, aicore::Site site = aicore::Site::here()) {
        free(tensor, site);
    }
    template <class T>
    void FreeTensor(LocalTensor<T>&& tensor, aicore::Site site = aicore::Site::here()) {
        free(tensor, site);
    }
    template <class T>
    void FreeTensor(const LocalTensor<T>& tensor, aicore::Site site = aicore::Site::here()) {
        free(tensor, site);
    }

    void FreeAllEvent() {}
    bool VacantInQue() const { return queued_ < depth; }
    bool HasTensorInQue() const { return queued_ > 0; }
    std::int32_t GetTensorCountInQue() const { return queued_; }
    bool HasIdleBuffer() const {
        for (int index = 0; index < count_; ++index) {
            if (buffers_[index].state == State::free) {
                return true;
            }
        }
        return false;
    }

    /// Assign memory to `count` buffers; TPipe::InitBuffer calls it.
    void assign(std::uint8_t count, std::uint32_t bytes, aicore::Site site) {
        assign(count, bytes, site,
               [&] { return aicore::core->reserve(memory, bytes, "InitBuffer", site); });
    }
    /// Assign memory that `reserve` returns the addresses of.
    template <class Reserve>
    void assign(std::uint8_t count, std::uint32_t bytes, aicore::Site site, Reserve reserve) {
        for (int index = 0; index < count; ++index) {
            aicore::Buffer& buffer = buffers_[count_];
            buffer = {};
            buffer.address = reserve();
            buffer.bytes = bytes;
            buffer.site = site;
            ++count_;
        }
        assigned_ = site;
    }
    int buffer_count() const { return count_; }

    /// Assign memory to the buffers one by one, for pools that a kernel writes itself.
    void InitStartBufHandle(TBufHandle /*startBufhandle*/, std::uint8_t num, std::uint32_t /*len*/,
                            aicore::Site site = aicore::Site::here()) {
        assign(num, 0, site, [] { return 0U; });
    }
    template <class Pool>
    void InitBufHandle(Pool* bufPool, std::uint32_t index, TBufHandle /*bufhandle*/,
                       std::uint32_t curPoolAddr, std::uint32_t len,
                       aicore::Site site = aicore::Site::here()) {
        if (index >= static_cast<std::uint32_t>(count_)) {
            aicore::core->end("range",
                              "InitBufHandle: index must be less than num of InitStartBufHandle, " +
                                  std::to_string(count_) + ", got " + std::to_string(index),
                              site);
        }
        bufPool->pool_of_handles().require_inside(curPoolAddr, len, site);
        buffers_[index].address = curPoolAddr;
        buffers_[index].bytes = len;
    }

  private:
    using State = aicore::Buffer::State;
    static constexpr aicore::Pipe filler = source == TPosition::GM || source == TPosition::VECIN
                                               ? aicore::Pipe::mte2
                                               : aicore::filling_pipe(source);
    static constexpr aicore::Pipe taker =
        aicore::taking_pipe(destination == TPosition::GM ? source : destination);

    template <class T>
    LocalTensor<T> tensor_of(const aicore::Buffer& buffer) const {
        return {buffer.address, aicore::elements_in<T>(buffer.bytes), destination, &buffer};
    }
    template <class T>
    aicore::Buffer& own(const LocalTensor<T>& tensor, const char* call, aicore::Site site) {
        for (int index = 0; index < count_; ++index) {
            if (&buffers_[index] == tensor.buffer()) {
                return buffers_[index];
            }
        }
        aicore::core->end("queue",
                          std::string(call) +
                              ": the tensor is not of this queue; pass what its "
                              "AllocTensor or DeQue returned",
                          site);
    }
    template <class T>
    void free(const LocalTensor<T>& tensor, aicore::Site site) {
        aicore::Buffer& buffer = own(tensor, "FreeTensor", site);
        if (buffer.state == State::free || buffer.generation != tensor.generation()) {
            aicore::core->report("freed", "FreeTensor of a tensor that is free already", site);
            return;
        }
        buffer.state = State::free;
        ++buffer.generation;
        buffer.freed = aicore::core->snapshot(taker);
    }
    void check_freed() const {
        for (int index = 0; index < count_; ++index) {
            if (buffers_[index].state != State::free) {
                aicore::core->report("leak",
                                     "the tensor that AllocTensor returned here was never given "
                                     "to FreeTensor",
                                     buffers_[index].site);
            }
        }
    }

    /// A queue to or from global memory could be moved while the core computes.
    void note_single_buffer() const {
        constexpr bool moves = source == TPosition::GM || source == TPosition::VECIN ||
                               source == TPosition::VECOUT || destination == TPosition::GM;
        if (moves && count_ == 1 && uses_ > 1 && aicore::core->hints) {
            aicore::core->note_single_buffer(buffers_[0].bytes, memory, assigned_);
        }
    }

    aicore::Buffer buffers_[aicore::most_buffers];
    std::uint8_t order_[aicore::most_buffers] = {};
    int count_ = 0;
    int next_ = 0;
    int first_ = 0;
    int queued_ = 0;
    std::uint32_t uses_ = 0;
    aicore::Site assigned_{"", 0};  // InitBuffer
};

/// A queue of one position: what is filled for it is taken at it.
template <TPosition position, std::int32_t depth, auto mask = 0>
class TQue : public TQueBind<position == TPosition::VECIN ? TPosition::GM : position, position,
                             depth, mask> {};

class TPipe {
  public:
    TPipe() { Init(); }
    TPipe(const TPipe&) = delete;
    TPipe& operator=(const TPipe&) = delete;
    ~TPipe() {
        if (aicore::core != nullptr && aicore::core->pipe_object == this) {
            aicore::core->pipe_object = nullptr;
        }
    }

    void Init() {
        aicore::core->release_all();
        aicore::core->pipe_object = this;
        buffers_ = 0;
    }
    void Reset() { Init(); }
    void Destroy() { aicore::core->release_all(); }

    template <TPosition source, TPosition destination, std::int32_t depth, auto mask>
    bool InitBuffer(TQueBind<source, destination, depth, mask>& queue, std::uint8_t count,
                    std::uint32_t bytes, aicore::Site site = aicore::Site::here()) {
        count_buffers(count, site);
        queue.assign(count, bytes, site);
        return true;
    }
    template <TPosition position>
    bool InitBuffer(TBuf<position>& buffer, std::uint32_t bytes,
                    aicore::Site site = aicore::Site::here()) {
        count_buffers(1, site);
        buffer.assign(bytes, site);
        return true;
    }

    template <class Pool>
    bool InitBufPool(Pool& pool, std::uint32_t bytes, aicore::Site site = aicore::Site::here()) {
        pool.assign(aicore::core->reserve(Pool::memory, bytes, "InitBufPool", site), bytes);
        return true;
    }
    template <class Pool, class Shared>
    bool InitBufPool(Pool& pool, std::uint32_t bytes, Shared& shared) {
        pool.assign(shared.begin(), bytes);
        return true;
    }

    template <HardEvent event>
    TEventID AllocEventID(aicore::Site site = aicore::Site::here()) {
        constexpr aicore::PipePair pipes = aicore::pipes_of(event);
        return static_cast<TEventID>(
            aicore::core->take_event(pipes.source, pipes.destination, site));
    }
    template <HardEvent event>
    void ReleaseEventID(TEventID id, aicore::Site site = aicore::Site::here()) {
        constexpr aicore::PipePair pipes = aicore::pipes_of(event);
        aicore::core->give_event(pipes.source, pipes.destination, id, site);
    }
    template <HardEvent event>
    TEventID FetchEventID() {
        return FetchEventID(event);
    }
    TEventID FetchEventID(HardEvent event) {
        const aicore::PipePair pipes = aicore::pipes_of(event);
        return static_cast<TEventID>(aicore::core->peek_event(pipes.source, pipes.destination));
    }

  private:
    void count_buffers(int count, aicore::Site site) {
        buffers_ += count;
        if (buffers_ > aicore::most_buffers) {
            aicore::core->end("overflow",
                              "InitBuffer: a kernel must not have more than 64 buffers, and this "
                              "one would have " +
                                  std::to_string(buffers_),
                              site);
        }
    }

    int buffers_ = 0;
};

}  // namespace AscendC

/// The kernel's TPipe. CANN declares it outside of its namespace as well.
inline AscendC::TPipe* GetTPipePtr() {
    return static_cast<AscendC::TPipe*>(aicore::core->pipe_object);
}
namespace AscendC {
using ::GetTPipePtr;
}  // namespace AscendC
