#include "emulator/runtime/objects/notify.h"

#include <atomic>

#include "acl/acl_rt.h"
#include "emulator/checks/live_handles.h"
#include "emulator/runtime/objects/error.h"

namespace ascend_emulator {
namespace {

class Update : public Task {
  public:
    Update(std::shared_ptr<SharedWords> words, SharedWord::Change change, const char* name)
        : words_(std::move(words)), change_(std::move(change)), name_(name) {}
    int run() override {
        words_->first().update(change_);
        return 0;
    }
    const char* name() const override { return name_; }

  private:
    std::shared_ptr<SharedWords> words_;
    SharedWord::Change change_;
    const char* name_;
};

class WaitForWords : public Task {
  public:
    WaitForWords(std::shared_ptr<SharedWords> words, SharedWord::Predicate wanted,
                 SharedWord::Change change, int timeout_ms, const char* name)
        : words_(std::move(words)),
          wanted_(std::move(wanted)),
          change_(std::move(change)),
          timeout_ms_(timeout_ms),
          name_(name) {}
    int run() override {
        return words_->first().wait(wanted_, change_, timeout_ms_)
                   ? 0
                   : fail(ACL_ERROR_RT_WAIT_TIMEOUT, "the notify was not recorded within " +
                                                         std::to_string(timeout_ms_) + " ms");
    }
    const char* name() const override { return name_; }

  private:
    std::shared_ptr<SharedWords> words_;
    SharedWord::Predicate wanted_;
    SharedWord::Change change_;
    int timeout_ms_;
    const char* name_;
};

Notify* make_notify(std::shared_ptr<SharedWords> words) {
    static std::atomic<int> next_id{0};
    count_handle(HandleKind::notify, 1);
    return make_handle<Notify>(std::move(words), next_id++);
}

}  // namespace

Notify* create_notify() { return make_notify(std::make_shared<SharedWords>()); }

Notify* import_notify(const std::string& key) {
    return make_notify(std::make_shared<SharedWords>(key));
}

Notify* notify_of(void* handle) {
    auto* notify = static_cast<Notify*>(handle);
    const std::string problem = why_unusable(notify);
    if (!problem.empty()) {
        fail(ACL_ERROR_RT_INVALID_HANDLE, problem);
        return nullptr;
    }
    return notify;
}

void destroy_notify(Notify* notify) {
    count_handle(HandleKind::notify, -1);
    destroy_handle(notify);
}

TaskPtr update_notify_task(const Notify& notify, SharedWord::Change change, const char* name) {
    return std::make_shared<Update>(notify.words, std::move(change), name);
}

TaskPtr wait_notify_task(const Notify& notify, SharedWord::Predicate wanted,
                         SharedWord::Change change, int timeout_ms, const char* name) {
    return std::make_shared<WaitForWords>(notify.words, std::move(wanted), std::move(change),
                                          timeout_ms, name);
}

}  // namespace ascend_emulator
