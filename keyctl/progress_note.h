// Tells someone who waits that the wait is expected, and how long it has been.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <ostream>
#include <stop_token>
#include <string>
#include <thread>

#include "core/clock.h"

namespace keyward::keyctl {

// One thread calls.
class ProgressNote {
 public:
  struct Options {
    std::string doing;  // completes "working to ..."
    size_t columns;     // of the terminal that gets it, where one line is written anew again
                        // and again; 0: it gets lines, fewer as time goes by
    std::chrono::milliseconds patience;  // of whoever waits, before they are told
  };

  // Nothing is told before Resume. `out` and `clock` outlive it.
  ProgressNote(std::ostream& out, const Clock& clock, Options options);
  ~ProgressNote();  // as Pause

  // Something is waited for, from now on if nothing was before. Nobody else writes to `out`.
  void Resume();
  // Nothing is, and the line that stood on the terminal is gone.
  void Pause();
  // Tells that, too, from now on: "1000 records".
  void SoFar(std::string what);

 private:
  void Run(const std::stop_token& stop);
  void Tell();

  std::ostream& out_;
  const Clock& clock_;
  const Options options_;
  const bool rewrites_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool working_ = false;
  uint64_t turns_ = 0;  // from waiting to not waiting, and back
  MonotonicTime since_;
  std::chrono::milliseconds silence_{};
  bool told_ = false;
  std::string so_far_;
  std::jthread thread_;  // last, so that it ends before what it uses
};

}  // namespace keyward::keyctl
