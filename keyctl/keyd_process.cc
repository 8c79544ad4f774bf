#include "keyctl/keyd_process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "core/unique_fd.h"

namespace keyward::keyctl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxAnswer = size_t{64} * 1024 * 1024;
constexpr int kNotStarted = 127;

struct User {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
};

std::unexpected<Error> SystemFailed(const std::string& what) {
  return Fail(ErrorCode::kIo, what + ": " + std::strerror(errno));
}

Result<User> OwnerOf(const std::string& folder) {
  struct stat info{};
  if (stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return Fail(ErrorCode::kNotFound, "there is no state directory " + folder +
                                          "; make one that belongs to keyd's user, with mode 0700");
  }
  User user{info.st_uid, info.st_gid, {info.st_gid}};
  if (const passwd* entry = getpwuid(user.uid)) {  // NOLINT: before any thread starts
    user.gid = entry->pw_gid;
    int count = 64;
    user.groups.resize(static_cast<size_t>(count));
    if (getgrouplist(entry->pw_name, user.gid, user.groups.data(), &count) < 0) {
      return Fail(ErrorCode::kIo, "the groups of the state directory's owner cannot be read");
    }
    user.groups.resize(static_cast<size_t>(count));
  }
  return user;
}

// In the build tree beside keyctl; installed, in the folder above.
Result<std::string> FindKeyd() {
  std::error_code error;
  const fs::path own = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& candidate :
       {own.parent_path() / "keyd", own.parent_path().parent_path() / "keyd"}) {
    if (access(candidate.c_str(), X_OK) == 0 && !fs::is_directory(candidate, error)) {
      return candidate.string();
    }
  }
  return Fail(ErrorCode::kNotFound, "there is no keyd beside this keyctl");
}

// Copies that are out of the way of the numbers that the child gives them.
struct Descriptors {
  UniqueFd input;
  UniqueFd output;
  std::vector<UniqueFd> given;
};

Result<UniqueFd> OutOfTheWay(int fd, size_t count) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, kFirstDescriptor + static_cast<int>(count)));
  if (!copy) return SystemFailed("copying a descriptor");
  return copy;
}

Result<Descriptors> DescriptorsFor(const std::vector<int>& wanted, int nothing, int answer) {
  Descriptors descriptors;
  KEYWARD_ASSIGN(descriptors.input, OutOfTheWay(nothing, wanted.size()));
  KEYWARD_ASSIGN(descriptors.output, OutOfTheWay(answer, wanted.size()));
  for (const int fd : wanted) {
    KEYWARD_ASSIGN(UniqueFd copy, OutOfTheWay(fd, wanted.size()));
    descriptors.given.push_back(std::move(copy));
  }
  return descriptors;
}

// In the child, where only what is safe after a fork may be called.
[[noreturn]] void BecomeKeyd(const User& user, const Descriptors& descriptors,
                             char* const* arguments) {
  bool given = true;
  int next = kFirstDescriptor;
  for (const UniqueFd& fd : descriptors.given) given = given && dup2(fd.get(), next++) >= 0;
  // Nothing else of the admin's goes along: no descriptor, no way to gain privileges.
  const bool ready =
      given && dup2(descriptors.input.get(), STDIN_FILENO) >= 0 &&
      dup2(descriptors.output.get(), STDOUT_FILENO) >= 0 &&
      close_range(static_cast<unsigned>(next), ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
      (geteuid() == user.uid || (setgroups(user.groups.size(), user.groups.data()) == 0 &&
                                 setresgid(user.gid, user.gid, user.gid) == 0 &&
                                 setresuid(user.uid, user.uid, user.uid) == 0));
  if (ready) execv(arguments[0], arguments);
  _exit(kNotStarted);
}

Result<std::string> ReadAll(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.size() < kMaxAnswer) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemFailed("reading keyd's answer");
    if (got == 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  return text;
}

// "Code message", as keyd writes it before it ends with a failure.
Error ParseFailure(std::string_view answer, int status) {
  const size_t space = answer.find(' ');
  const std::optional<ErrorCode> code = ErrorCodeFromName(answer.substr(0, space));
  if (!code || space == std::string_view::npos) {
    return {ErrorCode::kInternal, "keyd ended with status " + std::to_string(status)};
  }
  std::string_view message = answer.substr(space + 1);
  message = message.substr(0, message.find('\n'));
  return {*code, std::string(message)};
}

}  // namespace

Result<std::string> RunKeyd(const KeydCall& call) {
  KEYWARD_ASSIGN(const User user, OwnerOf(call.state_directory));
  if (geteuid() != 0 && geteuid() != user.uid) {
    return Fail(ErrorCode::kPermissionDenied,
                "the state directory belongs to another user: run this as root or as that user");
  }
  KEYWARD_ASSIGN(std::string program, FindKeyd());
  std::vector<std::string> words = call.arguments;
  std::vector<char*> argv = {program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SystemFailed("pipe");
  const UniqueFd from_keyd(ends[0]);
  UniqueFd to_us(ends[1]);
  const UniqueFd nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing) return SystemFailed("/dev/null");
  Result<Descriptors> descriptors = DescriptorsFor(call.descriptors, nothing.get(), to_us.get());
  if (!descriptors) return Fail(descriptors.error());
  const pid_t child = fork();
  if (child < 0) return SystemFailed("fork");
  if (child == 0) BecomeKeyd(user, *descriptors, argv.data());
  to_us.Reset();
  descriptors->output.Reset();
  Result<std::string> answer = ReadAll(from_keyd.get());
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return SystemFailed("waiting for keyd");
  }
  KEYWARD_TRY(answer);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return answer;
  return Fail(ParseFailure(*answer, status));
}

}  // namespace keyward::keyctl
