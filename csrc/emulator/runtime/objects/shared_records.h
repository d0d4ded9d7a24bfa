// The records of an event that processes share. Only the process that created the event records it.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>

#include "emulator/runtime/objects/shared_words.h"

namespace ascend_emulator {

class SharedRecords {
  public:
    SharedRecords() = default;
    /// Open those of another process. Throws std::runtime_error if the key has none.
    explicit SharedRecords(const std::string& key) : words_(key) {}

    bool is_imported() const { return words_.is_imported(); }
    const std::string& key() const { return words_.key(); }

    /// Begin a record and return its number, from 1.
    std::uint32_t begin();
    /// Publish the end of a record, once all earlier ones have ended.
    void end(std::uint32_t number);

    /// The number of the newest record, 0 before the first.
    std::uint32_t newest() { return words_.first().load(); }
    bool has_ended(std::uint32_t number);
    /// False if the time runs out. Throws std::runtime_error if the process that created the event
    /// ends before the record does.
    bool wait(std::uint32_t number, int timeout_ms);

  private:
    SharedWords words_;  // the number of the newest record, and of the last that has ended
    std::mutex mutex_;
    std::set<std::uint32_t> ended_;  // but an earlier one has not
};

}  // namespace ascend_emulator
