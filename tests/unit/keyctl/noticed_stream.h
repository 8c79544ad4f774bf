// A stream of which another thread can wait for what is written.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <ostream>
#include <sstream>
#include <string>

namespace keyward::testing_support {

class NoticedStream : public std::ostream {
 public:
  NoticedStream() : std::ostream(nullptr) { rdbuf(&buffer_); }

  // While nobody writes.
  std::string str() const { return buffer_.str(); }
  void str(const std::string& text) { buffer_.Begin(text); }

  // Waits until what was flushed contains `text`. False when it does not for so long.
  bool WaitFor(const std::string& text,
               std::chrono::milliseconds patience = std::chrono::seconds(30)) {
    return buffer_.WaitFor(text, patience);
  }

 private:
  class Buffer : public std::stringbuf {
   public:
    void Begin(const std::string& text) {
      const std::lock_guard lock(mutex_);
      str(text);
      flushed_ = text;
    }
    bool WaitFor(const std::string& text, std::chrono::milliseconds patience) {
      std::unique_lock lock(mutex_);
      return wake_.wait_for(lock, patience, [&] { return flushed_.contains(text); });
    }

   protected:
    int sync() override {
      const std::lock_guard lock(mutex_);
      flushed_ = str();
      wake_.notify_all();
      return 0;
    }

   private:
    std::mutex mutex_;
    std::condition_variable wake_;
    std::string flushed_;
  };

  Buffer buffer_;
};

}  // namespace keyward::testing_support
