#include "keyctl/audit_source.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "keyctl/file.h"
#include "policy/name_rules.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kChunk = 65536;

// Whether `take` wants more.
Result<bool> ReadPart(const AuditPart& part, const TakeChunk& take) {
  std::array<char, kChunk> buffer{};
  for (uint64_t offset = 0; offset < part.size;) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), part.size - offset);
    const ssize_t got = pread(part.file.get(), buffer.data(), wanted, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Fail(ErrorCode::kIo, "keyd's audit log cannot be read");
    offset += static_cast<uint64_t>(got);
    if (!take({buffer.data(), static_cast<size_t>(got)})) return false;
  }
  return true;
}

}  // namespace

Result<void> ReadOwnLog(Shell& shell, uint64_t record, const TakeChunk& take) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  bool is_first = true;
  for (uint64_t next = record; is_first || next != 0; is_first = false) {
    KEYWARD_ASSIGN(const AuditPart part, admin->ReadAudit(next));
    if (!is_first && part.first != next) {
      return Fail(ErrorCode::kNotFound, "old records were removed meanwhile; run this again");
    }
    KEYWARD_ASSIGN(const bool more, ReadPart(part, take));
    if (!more) return {};
    next = part.next;
  }
  return {};
}

Result<void> ReadLog(Shell& shell, const std::string& path, const TakeChunk& take) {
  constexpr uint64_t kOldest = 0;
  if (path.empty()) return ReadOwnLog(shell, kOldest, take);
  shell.BeginWait();
  return ReadChunks(path, shell.environment().in, take);
}

Result<std::vector<PublicKey>> OwnAuditKeys(Shell& shell) {
  KEYWARD_ASSIGN(AdminClient* const admin, shell.Admin());
  std::vector<PublicKey> keys;
  KEYWARD_ASSIGN(const ServiceStatus status, admin->Status());
  if (status.audit.signed_through == 0) return keys;  // as in its first hour
  const Result<KeyDetails> key = admin->DescribeKey(std::string(policy::kServiceKeyName));
  if (!key && key.error().code() == ErrorCode::kNotFound) return keys;
  KEYWARD_TRY(key);
  for (const VersionSummary& version : key->versions) {
    KEYWARD_ASSIGN(PublicKey public_key, PublicKey::FromSpki(version.spki));
    keys.push_back(std::move(public_key));
  }
  return keys;
}

}  // namespace keyward::keyctl
