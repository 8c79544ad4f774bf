#include "keyctl/secret_input.h"

#include <fcntl.h>
#include <termios.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "keyctl/file.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kMaxPassphrase = 1024;

std::unexpected<Error> SystemFailed(const char* what) {
  return Fail(ErrorCode::kIo, std::string(what) + ": " + std::strerror(errno));
}

// Keeps what is typed from the screen, until its end.
class SilentTerminal {
 public:
  explicit SilentTerminal(int fd) : fd_(fd) {
    if (tcgetattr(fd_, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    is_silent_ = tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  ~SilentTerminal() {
    if (is_silent_ && tcsetattr(fd_, TCSAFLUSH, &before_) != 0) {
      static_cast<void>(
          std::fputs("keyctl: the terminal shows nothing any more: run 'stty echo'\n", stderr));
    }
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

  bool is_silent() const { return is_silent_; }

 private:
  const int fd_;
  termios before_{};
  bool is_silent_ = false;
};

// Byte by byte, so that no byte of the next line is taken.
Result<size_t> ReadLine(int fd, MutableBytes out) {
  for (size_t size = 0; size < out.size();) {
    const ssize_t got = read(fd, &out[size], 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemFailed("the terminal cannot be read");
    if (got == 0 || out[size] == '\n') return size;
    ++size;
  }
  return Fail(ErrorCode::kInvalidArgument, "a passphrase has at most 1024 bytes");
}

}  // namespace

Result<SecretBytes> AskSecret(const std::string& question) {
  const UniqueFd terminal(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal) {
    return Fail(ErrorCode::kInvalidArgument,
                "the key is encrypted, and there is no terminal to ask for its passphrase at; give "
                "--passphrase-file");
  }
  const SilentTerminal silent(terminal.get());
  if (!silent.is_silent()) return SystemFailed("the terminal shows what is typed");
  KEYWARD_ASSIGN(SecretBytes line, SecretBytes::Create(kMaxPassphrase + 1));
  if (write(terminal.get(), question.data(), question.size()) < 0) return SystemFailed("terminal");
  KEYWARD_ASSIGN(const size_t size, ReadLine(terminal.get(), line.RevealSecretForWriting()));
  if (size == 0) return Fail(ErrorCode::kInvalidArgument, "no passphrase was typed");
  return SecretBytes::CopyOf(line.RevealSecret().first(size));
}

Result<SecretBytes> ReadSecretFile(const std::string& path, size_t limit) {
  KEYWARD_ASSIGN(const UniqueFd file, OpenFile(path));
  KEYWARD_ASSIGN(SecretBytes text, SecretBytes::Create(limit + 1));
  const MutableBytes room = text.RevealSecretForWriting();
  size_t size = 0;
  while (size < room.size()) {
    const ssize_t got = read(file.get(), &room[size], room.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemFailed("the file cannot be read");
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > limit)
    return Fail(ErrorCode::kTooLarge, "the file is too large for what it should be");
  if (size == 0) return Fail(ErrorCode::kInvalidArgument, "the file is empty");
  return SecretBytes::CopyOf(room.first(size));
}

Result<UniqueFd> PipeWith(const SecretBytes& secret) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return SystemFailed("pipe");
  UniqueFd out(ends[0]);
  const UniqueFd in(ends[1]);
  const ByteView bytes = secret.RevealSecret();
  if (write(in.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) return out;
  return SystemFailed("pipe");
}

}  // namespace keyward::keyctl
