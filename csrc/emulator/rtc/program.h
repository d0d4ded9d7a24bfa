// A kernel's source text, and the binary that bisheng of the emulated CANN makes of it.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ascend_emulator {

class RtcProgram {
  public:
    enum class State : unsigned char { created, failed, compiled };

    RtcProgram(std::string source, std::string name) : source_(std::move(source)) {
        name_ = std::move(name);
    }

    /// A header that the source includes by this name.
    void add_header(std::string name, std::string text) {
        headers_.emplace_back(std::move(name), std::move(text));
    }
    void add_name(std::string expression) { names_.push_back(std::move(expression)); }
    /// 0 or a code of aclrtc.
    int compile(const std::vector<std::string>& options);

    /// The expression as it was added, by which the binary knows the kernel; null if it was not.
    const std::string* lowered(const std::string& expression) const;
    State state() const { return state_; }
    const std::string& binary() const { return binary_; }
    const std::string& log() const { return log_; }

  private:
    int compile_in(const std::string& folder, const std::vector<std::string>& options);

    std::string source_;
    std::string name_;
    std::vector<std::pair<std::string, std::string>> headers_;
    std::vector<std::string> names_;
    State state_ = State::created;
    std::string binary_;
    std::string log_;
};

}  // namespace ascend_emulator
