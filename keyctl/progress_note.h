// Tells someone who waits that the wait is expected.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>

namespace keyward::keyctl {

// Writes `note` as one line to `out` unless it is destroyed within `delay`. Until then nobody else
// may write to `out`.
class ProgressNote {
 public:
  ProgressNote(std::ostream& out, std::string note,
               std::chrono::milliseconds delay = std::chrono::seconds(1));

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last, so that it ends before what it uses
};

}  // namespace keyward::keyctl
