#include "policy/system_names.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace keyward::policy {
namespace {

constexpr size_t kFirstBuffer = 1024;
constexpr size_t kLargestBuffer = size_t{1} << 20;  // a group of thousands of members fits

// getpwnam_r(3): besides plain success these, too, mean that there is no such name.
bool MeansNotFound(int code) {
  return code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM;
}

// Calls `lookup`, which is getpwnam_r or getgrnam_r, with as large a buffer as it asks for.
template <class Entry, class Lookup>
Result<uint32_t> Find(const char* kind, const std::string& name, Lookup lookup,
                      uint32_t Entry::* id) {
  for (size_t size = kFirstBuffer; size <= kLargestBuffer;) {
    std::vector<char> buffer(size);
    Entry entry{};
    Entry* found = nullptr;
    const int code = lookup(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found != nullptr) return entry.*id;
    if (code == ERANGE) {
      size *= 2;
    } else if (MeansNotFound(code)) {
      return Fail(ErrorCode::kNotFound, fmt::format("no such {} on this host", kind));
    } else if (code != EINTR) {
      return Fail(
          Error(ErrorCode::kIo, fmt::format("the {} database does not answer", kind))
              .WithCause(fmt::format("'{}': {}", name, std::generic_category().message(code))));
    }
  }
  return Fail(ErrorCode::kIo, fmt::format("the {}'s entry is over 1 MiB", kind));
}

}  // namespace

Result<uint32_t> SystemNames::UserId(const std::string& name) const {
  return Find("user", name, getpwnam_r, &passwd::pw_uid);
}

Result<uint32_t> SystemNames::GroupId(const std::string& name) const {
  return Find("group", name, getgrnam_r, &group::gr_gid);
}

}  // namespace keyward::policy
