// Notifies: a flag or a counter that one stream sets and another waits for, also across processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "emulator/interface/services.h"
#include "emulator/runtime/objects/shared_words.h"

namespace ascend_emulator {

/// What an aclrtNotify or aclrtCntNotify points to. The first word is the value.
struct Notify {
    static constexpr auto handle_kind = HandleKind::notify;

    Notify(std::shared_ptr<SharedWords> its_words, int its_id)
        : words(std::move(its_words)), id(its_id) {}
    const std::shared_ptr<SharedWords> words;
    const int id;
};

/// Create a notify, or open one of another process.
Notify* create_notify();
Notify* import_notify(const std::string& key);

/// The notify of a handle; null, with an error noted, if the handle is not a live one.
Notify* notify_of(void* handle);

/// Destroy a handle that notify_of accepts. Queued tasks keep the value.
void destroy_notify(Notify* notify);

/// A task that replaces the value with `change` of it.
TaskPtr update_notify_task(const Notify& notify, SharedWord::Change change, const char* name);

/// A task that waits until the value is `wanted` and then replaces it with `change` of it.
TaskPtr wait_notify_task(const Notify& notify, SharedWord::Predicate wanted,
                         SharedWord::Change change, int timeout_ms, const char* name);

}  // namespace ascend_emulator
