// Words of memory that other processes can map, for notifies and events that processes share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace ascend_emulator {

class SharedWord {
  public:
    using Change = std::function<std::uint32_t(std::uint32_t)>;
    using Predicate = std::function<bool(std::uint32_t)>;

    std::uint32_t load() const { return value_; }
    /// Replace the value with `change` of it, wake all that wait, and return the new value.
    std::uint32_t update(const Change& change);
    /// Wait until the value is `wanted`, and replace it with `change` of it in one step. False if
    /// `timeout_ms` runs out, unless it is negative.
    bool wait(const Predicate& wanted, const Change& change, int timeout_ms);

  private:
    std::atomic<std::uint32_t> value_;
};

/// Two words in an unnamed file, which other processes open by a key.
class SharedWords {
  public:
    /// Create the words, both 0. Throws std::runtime_error if the system has no memory for them.
    SharedWords();
    /// Open the words of another process. Throws std::runtime_error if the key has none.
    explicit SharedWords(const std::string& key);
    ~SharedWords();
    SharedWords(const SharedWords&) = delete;
    SharedWords& operator=(const SharedWords&) = delete;

    SharedWord& first() { return words_[0]; }
    SharedWord& second() { return words_[1]; }
    bool is_imported() const { return file_ < 0; }
    /// Whether the creator still has the words; they stay readable if it does not.
    bool is_alive() const;
    /// The key, which is valid while the creator has the words.
    const std::string& key() const { return key_; }

  private:
    int file_ = -1;  // -1 if another process created the words
    std::string key_;
    SharedWord* words_ = nullptr;
};

}  // namespace ascend_emulator
