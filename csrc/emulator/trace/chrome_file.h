// A file in the "JSON array format" of Chrome's traces, which Perfetto and chrome://tracing open.
// The closing bracket may be missing, so the trace of a killed process can be read.
#pragma once

#include <cstdio>
#include <string>

namespace ascend_emulator {

class ChromeFile {
  public:
    /// Create the file, whose name is `name` with the process id for %p. If it cannot be written,
    /// or another process writes it, a message on standard error tells why.
    explicit ChromeFile(const std::string& name);

    bool is_open() const { return file_ != nullptr; }
    /// Write events, each of which ends in a comma and a line end.
    void write(const std::string& events);
    /// Write the last event, without a comma behind it, and close the file.
    void end(const std::string& event);

  private:
    const std::string path_;
    std::FILE* file_;
};

/// A message if the file cannot be written, or "". It is not created.
std::string why_no_trace_file(const std::string& name);

}  // namespace ascend_emulator
