// Text in JSON.
#pragma once

#include <string>

namespace ascend_emulator {

/// Escape `text` for use in a JSON string.
inline std::string json_escaped(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            escaped += '\\';
            escaped += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            escaped += ' ';
        } else {
            escaped += c;
        }
    }
    return escaped;
}

}  // namespace ascend_emulator
