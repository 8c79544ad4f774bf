// The program hsm_child, and what it says.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "core/encoding.h"
#include "core/key_id.h"
#include "core/unique_fd.h"
#include "tests/support/child_process.h"
#include "tests/support/matchers.h"
#include "tests/support/softhsm_token.h"

namespace keyward::hsm {

// The read end of a FIFO that a child which counts writes its values to.
class Acknowledgements {
 public:
  explicit Acknowledgements(std::string path) : path_(std::move(path)) {
    EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0);
    pipe_.Reset(open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_TRUE(pipe_);
  }
  Acknowledgements(const Acknowledgements&) = delete;
  Acknowledgements& operator=(const Acknowledgements&) = delete;
  ~Acknowledgements() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }

  // Waits until there are `count` values, or until the child is gone.
  void WaitFor(size_t count) {
    while (values_.size() < count) {
      pollfd event = {pipe_.get(), POLLIN, 0};
      if (poll(&event, 1, kTimeoutMs) <= 0 || !ReadSome()) return;
    }
  }
  // All values, once the child is gone.
  const std::vector<uint64_t>& Drain() {
    while (ReadSome()) {
    }
    return values_;
  }

 private:
  static constexpr int kTimeoutMs = 30'000;

  bool ReadSome() {
    std::array<char, 4096> buffer{};
    const ssize_t size = read(pipe_.get(), buffer.data(), buffer.size());
    if (size <= 0) return false;
    text_.append(buffer.data(), static_cast<size_t>(size));
    for (size_t end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
      uint64_t value = 0;
      std::from_chars(text_.data(), text_.data() + end, value);
      values_.push_back(value);
      text_.erase(0, end + 1);
    }
    return true;
  }

  std::string path_;
  UniqueFd pipe_;
  std::string text_;
  std::vector<uint64_t> values_;
};

// The command line; see hsm_child_main.cc.
inline std::vector<std::string> HsmChild(const testing_support::SoftHsmToken& token,
                                         const KeyId& id, const std::string& output,
                                         const std::string& work) {
  return {KEYWARD_HSM_CHILD, token.folder(), ToHex(id), token.folder() / "ready", output, work};
}

}  // namespace keyward::hsm
