// Call stacks, kept cheaply and turned into text only for a report.
#pragma once

#include <array>
#include <string>

namespace ascend_emulator {

class Stack {
  public:
    /// The callers of this function.
    static Stack here();

    /// A line a frame, library, function and offset; without the emulator's own innermost ones.
    std::string text() const;

  private:
    std::array<void*, 16> frames_ = {};
    int count_ = 0;
};

}  // namespace ascend_emulator
