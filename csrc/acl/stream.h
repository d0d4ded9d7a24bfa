// Streams and events that belong to whoever made them, on a device that they remember.
#pragma once

#include <atomic>
#include <memory>
#include <string>

namespace ascend_ops::acl {

/// What destroys a handle of AscendCL, once: when it dies, or at shut_down() if that is earlier.
class Owned {
  public:
    Owned();
    virtual ~Owned() = default;
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    /// Destroys the handle; nothing where that has happened, or AscendCL cannot be called.
    virtual void close() noexcept = 0;

    /// close() of all there are.
    static void close_all() noexcept;

  protected:
    /// For the destructor of a derived class, before its own close().
    void forget() noexcept;
};

class Stream : public Owned {
  public:
    /// `priority` is AscendCL's: 0 comes first. A CANN without priorities takes 0 only.
    Stream(int device, unsigned priority);
    ~Stream() override;

    void close() noexcept override;  // waits for what is queued
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
    /// Whether everything before the newest record is done; true where there is none.
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

// Of any stream of `device`, torch_npu's too.
void synchronize_stream(void* stream, int device);
bool query_stream(void* stream, int device);
void wait_event(void* stream, int device, const Event& event);

}  // namespace ascend_ops::acl
