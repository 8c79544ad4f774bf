#include "keyctl/host_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <expected>
#include <optional>

#include "keyctl/file.h"
#include "keyctl/record_checks.h"
#include "policy/security_yaml.h"

namespace keyward::keyctl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfiguration = "configuration";
constexpr const char* kState = "state directory";
constexpr const char* kBackup = "backup";
constexpr const char* kRunAsRoot = "run keyctl doctor as root to have it looked at";

constexpr uint64_t kEnoughBytes = uint64_t{64} << 20;
constexpr uint64_t kEnoughFiles = 100;

bool MayNotLook(int error) { return error == EACCES || error == EPERM; }

std::string UserName(uid_t uid) {
  const passwd* entry = getpwuid(uid);  // NOLINT: one thread
  return entry == nullptr ? fmt::format("uid {}", uid) : std::string(entry->pw_name);
}

// Nothing when all is well with it, or when nobody but keyd can know.
std::optional<Finding> CheckPinFile(const std::string& path) {
  constexpr const char* kCheck = "PIN file";
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    if (MayNotLook(errno)) return Unknown(kCheck, path + " is not for this user", kRunAsRoot);
    return Attention(kCheck, fmt::format("{} cannot be read: {}", path, std::strerror(errno)),
                     "write the token's user PIN there, owned by keyd's user, mode 0600");
  }
  if ((info.st_mode & 077) != 0) {
    return Attention(kCheck, path + " is open to other users", "chmod 0600 " + path);
  }
  return Well(kCheck, fmt::format("{} belongs to {} alone", path, UserName(info.st_uid)));
}

// Names of the files that are not as keyd makes them; nothing when this user may not look.
std::optional<std::vector<std::string>> BadFiles(const fs::path& directory, uid_t owner) {
  std::error_code error;
  std::vector<std::string> bad;
  for (auto at = fs::directory_iterator(directory, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    struct stat info{};
    if (lstat(at->path().c_str(), &info) != 0) continue;  // gone meanwhile
    if (info.st_uid != owner || (info.st_mode & 077) != 0) {
      bad.push_back(at->path().filename().string());
    }
  }
  if (error) return std::nullopt;
  return bad;
}

bool Exists(const fs::path& path) { return access(path.c_str(), F_OK) == 0; }

Finding CheckContents(const fs::path& directory, uid_t owner) {
  const std::optional<std::vector<std::string>> bad = BadFiles(directory, owner);
  if (!bad) {
    return Unknown(kState,
                   fmt::format("{} belongs to {} alone; what is in it, nobody else may see",
                               directory.string(), UserName(owner)),
                   kRunAsRoot);
  }
  if (!bad->empty()) {
    return Attention(kState,
                     fmt::format("not {}'s alone: {}", UserName(owner), fmt::join(*bad, ", ")),
                     fmt::format("chown {0}: FILE; chmod go= FILE, in {1}; and find out who "
                                 "changed them",
                                 UserName(owner), directory.string()));
  }
  if (!Exists(directory / "master-key")) {
    const bool stored = Exists(directory / "state.db");
    return Attention(kState, "there is no master key",
                     stored ? "put the master-key file back, or restore a backup" : "keyctl init",
                     "NotInitialised");
  }
  return Well(kState, fmt::format("{} belongs to {} alone, and so does all in it",
                                  directory.string(), UserName(owner)));
}

Finding CheckDisk(const std::string& check, const fs::path& directory) {
  struct statvfs info{};
  if (statvfs(directory.c_str(), &info) != 0) {
    return Unknown(check, fmt::format("{}: {}", directory.string(), std::strerror(errno)));
  }
  const uint64_t bytes = uint64_t{info.f_bavail} * info.f_frsize;
  const std::string what = fmt::format("{} MiB free for {}", bytes >> 20, directory.string());
  const bool has_files = info.f_files == 0 || info.f_favail >= kEnoughFiles;
  if (bytes >= kEnoughBytes && has_files) return Well(check, what);
  return Attention(check, has_files ? what : what + ", but no more files",
                   "make room: keyd refuses changes when the disk is full");
}

}  // namespace

Findings CheckConfiguration(const std::string& path, const policy::NameResolver& names) {
  const Result<std::string> text = ReadTextFile(path, policy::kMaxSecurityYaml);
  if (!text && access(path.c_str(), R_OK) != 0 && MayNotLook(errno)) {
    return {Unknown(kConfiguration, path + " is not for this user to read", kRunAsRoot)};
  }
  if (!text) {
    return {Attention(kConfiguration, path + ": " + text.error().message(),
                      "docs/CONFIGURATION.md tells how to write one", "Configuration")};
  }
  const auto checked = policy::CheckSecurityYaml(*text, names);
  if (!checked) {
    const policy::Diagnostic& first = checked.error().front();
    return {Attention(kConfiguration,
                      fmt::format("{}:{}: {}{}", path, first.place.line, first.message,
                                  checked.error().size() > 1 ? " (and more)" : ""),
                      "keyctl policy check " + path + " tells every problem", "Configuration")};
  }
  Findings findings = {Well(kConfiguration, path + " is valid")};
  if (checked->hsm() && checked->hsm()->pin_file) {
    if (auto pin = CheckPinFile(*checked->hsm()->pin_file)) findings.push_back(std::move(*pin));
  }
  return findings;
}

Finding CheckStateDirectory(const fs::path& directory) {
  struct stat info{};
  if (lstat(directory.c_str(), &info) != 0) {
    if (MayNotLook(errno)) return Unknown(kState, "it is not for this user to see", kRunAsRoot);
    return Attention(kState, fmt::format("{}: {}", directory.string(), std::strerror(errno)),
                     fmt::format("make it for keyd's user: install -d -m 0700 -o keyward {}",
                                 directory.string()));
  }
  if (!S_ISDIR(info.st_mode)) {
    return Attention(kState, directory.string() + " is no directory", "make one in its place");
  }
  if ((info.st_mode & 077) != 0) {
    return Attention(kState, directory.string() + " is open to other users",
                     "chmod 0700 " + directory.string());
  }
  return CheckContents(directory, info.st_uid);
}

Finding CheckBackupFile(const fs::path& directory, WallTime now) {
  struct stat info{};
  if (lstat((directory / "last-backup").c_str(), &info) != 0) {
    if (MayNotLook(errno)) return Unknown(kBackup, "it is not for this user to see", kRunAsRoot);
    return Unknown(kBackup, "none was made here");
  }
  const WallTime made{std::chrono::seconds(info.st_mtim.tv_sec)};
  return JudgeBackupAge(made, now, "the time of the file last-backup");
}

Findings CheckDisks(const fs::path& directory) {
  Findings findings = {CheckDisk("disk space", directory)};
  const fs::path audit = directory / "audit";
  struct stat whole{};
  struct stat part{};
  const bool both = stat(directory.c_str(), &whole) == 0 && stat(audit.c_str(), &part) == 0;
  if (both && whole.st_dev != part.st_dev) {
    findings.push_back(CheckDisk("disk space of the audit log", audit));
  }
  return findings;
}

}  // namespace keyward::keyctl
