// Streams and events that are destroyed with their C++ object. Each remembers its device.
#pragma once

#include <atomic>
#include <memory>
#include <string>

namespace ascend_ops::acl {

/// Owns a handle of AscendCL, which is destroyed with this object, or at shut_down() if that is
/// earlier.
class Owned {
  public:
    Owned();
    virtual ~Owned() = default;
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    /// Destroy the handle; do nothing if it is destroyed or AscendCL cannot be called.
    virtual void close() noexcept = 0;

    /// Close all living objects.
    static void close_all() noexcept;

  protected:
    /// Called by the destructor of a derived class before its own close().
    void forget() noexcept;
};

class Stream : public Owned {
  public:
    /// `priority` is AscendCL's: 0 is the highest. A CANN without priorities accepts only 0.
    Stream(int device, unsigned priority);
    ~Stream() override;

    void close() noexcept override;  // waits for the queued work
    void* handle() const;
    int device() const { return device_; }

  private:
    const int device_;
    std::atomic<void*> handle_{nullptr};
};

class Event : public Owned {
  public:
    Event(int device, bool timing);
    ~Event() override;

    void close() noexcept override;
    void record(void* stream);
    /// Whether everything before the newest record is done; true if it was never recorded.
    bool query() const;
    void synchronize() const;
    float elapsed_time(const Event& end) const;  // ms
    void* handle() const;
    int device() const { return device_; }
    bool is_recorded() const { return recorded_; }

  private:
    const int device_;
    const bool timing_;
    std::atomic<bool> recorded_{false};
    std::atomic<void*> handle_{nullptr};
};

// These take any stream of `device`, including torch_npu's.
void synchronize_stream(void* stream, int device);
bool query_stream(void* stream, int device);
void wait_event(void* stream, int device, const Event& event);

}  // namespace ascend_ops::acl
