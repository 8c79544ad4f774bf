#include "hsm/pin_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/unique_fd.h"

namespace keyward::hsm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPin = 255;

std::unexpected<Error> BadPin(std::string message, const fs::path& path) {
  return Fail(Error(ErrorCode::kConfiguration, std::move(message))
                  .WithAction(Action::kProvision)
                  .WithCause("PIN file " + path.string()));
}

std::string CredentialsDirectory() {
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");  // set before any thread starts
  return folder == nullptr ? "" : folder;
}

Result<fs::path> PathOf(const HsmOptions& options) {
  if (options.pin_file.empty() == options.pin_credential.empty()) {
    return Fail(ErrorCode::kConfiguration, "name either a PIN file or a PIN credential");
  }
  if (!options.pin_file.empty()) return fs::path(options.pin_file);
  const fs::path name = options.pin_credential;
  if (name.filename() != name || name == "..") {
    return Fail(ErrorCode::kConfiguration, "a PIN credential is a name without slashes");
  }
  const std::string folder = CredentialsDirectory();
  if (folder.empty()) {
    return Fail(ErrorCode::kConfiguration,
                "there are no credentials: start the service with LoadCredential= for the PIN");
  }
  return fs::path(folder) / name;
}

// systemd keeps everybody else out of its folder, whatever the modes of the files.
bool IsCredential(const fs::path& path) {
  const std::string folder = CredentialsDirectory();
  std::error_code error;
  return !folder.empty() &&
         fs::canonical(path, error).parent_path() == fs::canonical(folder, error) && !error;
}

Result<void> CheckFile(const struct stat& status, const fs::path& path) {
  if (!S_ISREG(status.st_mode)) return BadPin("the PIN file is no regular file", path);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0 && !IsCredential(path)) {
    return BadPin("the PIN file is open to other users: set its mode to 0600", path);
  }
  if (status.st_size == 0) return BadPin("the PIN file is empty: write the PIN to it", path);
  if (status.st_size > static_cast<off_t>(kMaxPin) + 1) {
    return BadPin("the PIN file holds more than a PIN", path);
  }
  return {};
}

Result<SecretBytes> ReadSecret(int fd, size_t size, const fs::path& path) {
  KEYWARD_ASSIGN(SecretBytes text, SecretBytes::Create(size));
  if (pread(fd, text.RevealSecretForWriting().data(), size, 0) != static_cast<ssize_t>(size)) {
    return BadPin("the PIN file changed while it was read: try again", path);
  }
  const ByteView bytes = text.RevealSecret();
  const ByteView pin = bytes.back() == '\n' ? bytes.first(size - 1) : bytes;
  if (pin.empty()) return BadPin("the PIN file is empty: write the PIN to it", path);
  return SecretBytes::CopyOf(pin);
}

}  // namespace

Result<Pin> ReadPin(const HsmOptions& options) {
  KEYWARD_ASSIGN(const fs::path path, PathOf(options));
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) {
    return BadPin("the PIN file cannot be read: create it, owned by the service, mode 0600",
                  fmt::format("{}: {}", path.string(), std::strerror(errno)));
  }
  KEYWARD_TRY(CheckFile(status, path));
  KEYWARD_ASSIGN(SecretBytes secret,
                 ReadSecret(file.get(), static_cast<size_t>(status.st_size), path));
  return Pin{std::move(secret), fmt::format("{} {} {}.{:09}", status.st_ino, status.st_size,
                                            status.st_mtim.tv_sec, status.st_mtim.tv_nsec)};
}

}  // namespace keyward::hsm
