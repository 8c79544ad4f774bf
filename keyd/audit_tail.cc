#include "keyd/audit_tail.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/encoding.h"
#include "core/file.h"

namespace keyward {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "KWAT";
constexpr uint8_t kVersion = 1;
constexpr std::string_view kMacLabel = "keyward audit tail 1";

std::unexpected<Error> Damaged(std::string cause) {
  return Fail(Error(ErrorCode::kDataCorrupt,
                    "the file audit-tail, which tells where the audit log ends, was changed by "
                    "somebody else than keyd")
                  .WithCause(std::move(cause)));
}

std::unexpected<Error> Failed(const char* step) {
  return Fail(Error(ErrorCode::kIo, "the file audit-tail cannot be written")
                  .WithCause(std::string(step) + ": " + strerror(errno)));
}

Bytes EncodeWithoutMac(const audit::End& end) {
  return Writer()
      .Raw(AsBytes(kMagic))
      .Integer(kVersion)
      .Raw(end.log)
      .Integer(end.head.seq)
      .Raw(end.head.hash)
      .Take();
}

Result<void> ReadInto(Reader& in, MutableBytes bytes) {
  KEYWARD_ASSIGN(const ByteView read, in.Raw(bytes.size()));
  std::ranges::copy(read, bytes.begin());
  return {};
}

Result<AuditTail> Parse(ByteView bytes) {
  Reader in(bytes);
  KEYWARD_ASSIGN(const ByteView magic, in.Raw(kMagic.size()));
  KEYWARD_ASSIGN(const uint8_t version, in.Integer<uint8_t>());
  if (AsText(magic) != kMagic || version != kVersion) {
    return Fail(ErrorCode::kMalformed, "not an audit-tail file of this version");
  }
  AuditTail tail{};
  KEYWARD_TRY(ReadInto(in, tail.end.log));
  KEYWARD_ASSIGN(tail.end.head.seq, in.Integer<uint64_t>());
  KEYWARD_TRY(ReadInto(in, tail.end.head.hash));
  KEYWARD_TRY(ReadInto(in, tail.mac));
  KEYWARD_TRY(in.End());
  return tail;
}

Result<UniqueFd> OpenInPlace(const fs::path& path) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return Failed("open");
  return file;
}

}  // namespace

Bytes Encode(const AuditTail& tail) {
  Bytes bytes = EncodeWithoutMac(tail.end);
  Append(bytes, tail.mac);
  return bytes;
}

Result<AuditTail> DecodeAuditTail(ByteView bytes) {
  Result<AuditTail> tail = Parse(bytes);
  if (!tail) return Damaged(tail.error().message());
  return tail;
}

Result<AuditTail> Authenticated(const audit::End& end, const SecretBytes& key) {
  KEYWARD_ASSIGN(const Hash256 mac,
                 Blake2bMac(key).Add(AsBytes(kMacLabel)).Add(EncodeWithoutMac(end)).End());
  return AuditTail{end, mac};
}

Result<audit::End> ReadAuditTail(const fs::path& state_directory, const SecretBytes& key) {
  const Result<std::optional<Bytes>> bytes =
      ReadFile(state_directory / kAuditTailFile, kAuditTailSize);
  if (!bytes && bytes.error().code() == ErrorCode::kTooLarge) return Damaged("too large");
  if (!bytes) return Fail(bytes.error());
  if (!*bytes) {
    return Fail(ErrorCode::kRolledBack,
                "the file audit-tail, which tells where the audit log ends, is missing");
  }
  KEYWARD_ASSIGN(const AuditTail tail, DecodeAuditTail(**bytes));
  KEYWARD_ASSIGN(const AuditTail expected, Authenticated(tail.end, key));
  if (!EqualHashes(tail.mac, expected.mac)) return Damaged("MAC");
  return tail.end;
}

Result<AuditTailFile> AuditTailFile::Make(const fs::path& state_directory, SecretBytes key,
                                          const audit::End& end) {
  KEYWARD_ASSIGN(const AuditTail tail, Authenticated(end, key));
  const fs::path path = state_directory / kAuditTailFile;
  KEYWARD_TRY(ReplaceFile(path, Encode(tail)));
  KEYWARD_ASSIGN(UniqueFd file, OpenInPlace(path));
  return AuditTailFile(std::move(file), std::move(key), end.log);
}

Result<AuditTailFile> AuditTailFile::GoOn(const fs::path& state_directory, SecretBytes key,
                                          const audit::End& end) {
  KEYWARD_ASSIGN(UniqueFd file, OpenInPlace(state_directory / kAuditTailFile));
  AuditTailFile tail(std::move(file), std::move(key), end.log);
  KEYWARD_TRY(tail.Write(end.head));
  return tail;
}

Result<void> AuditTailFile::Write(const audit::Head& head) {
  KEYWARD_ASSIGN(const AuditTail tail, Authenticated({log_, head}, key_));
  const Bytes bytes = Encode(tail);
  synced_ = false;
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t put =
        pwrite(file_.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return Failed("pwrite");
    at += static_cast<size_t>(put);
  }
  return {};
}

Result<void> AuditTailFile::Sync() {
  if (synced_) return {};
  if (fdatasync(file_.get()) != 0) return Failed("fdatasync");
  synced_ = true;
  return {};
}

}  // namespace keyward
