#include "keyctl/record_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/encoding.h"
#include "keyctl/human.h"

namespace keyward::keyctl {
namespace {

constexpr const char* kAudit = "audit log";
constexpr const char* kRevocations = "revocations";
constexpr const char* kBackup = "backup";

// keyd has it signed after half of that at the latest, where the hardware lets it.
constexpr uint64_t kManyUnsigned = 2000;
constexpr auto kOldBackup = std::chrono::hours(24 * 30);
constexpr size_t kShownDigits = 16;  // of a fingerprint

std::string Shown(ByteView fingerprint) { return ToHex(fingerprint).substr(0, kShownDigits); }

// Who signs the own list; empty when there is no such key yet, or it was revoked.
std::string SignerOf(const Result<KeyDetails>& service_key) {
  if (!service_key || service_key->spki.empty()) return {};
  const Result<PublicKey> key = PublicKey::FromSpki(service_key->spki);
  return key ? Shown(key->Fingerprint()) : std::string();
}

// The signers of the lists that were imported; of those whose key was revoked since, that.
std::set<std::string> Issuers(const std::vector<RevocationSummary>& revocations) {
  std::set<std::string> issuers;
  for (const RevocationSummary& each : revocations) {
    if (each.issuer.empty()) continue;
    const bool revoked = std::ranges::any_of(revocations, [&](const RevocationSummary& other) {
      return std::ranges::equal(other.revocation.fingerprint, each.issuer);
    });
    issuers.insert(Shown(each.issuer) + (revoked ? " (a key revoked since)" : ""));
  }
  return issuers;
}

Finding JudgeRevocations(const std::vector<RevocationSummary>& revocations,
                         const Result<KeyDetails>& service_key) {
  const auto own = std::ranges::count_if(
      revocations, [](const RevocationSummary& each) { return each.issuer.empty(); });
  const std::string signer = SignerOf(service_key);
  std::string what = fmt::format("{} of this host", own);
  if (!signer.empty()) what += ", whose list " + signer + " signs";
  const std::set<std::string> issuers = Issuers(revocations);
  if (!issuers.empty()) {
    what += fmt::format("; {} by lists of {}", static_cast<int64_t>(revocations.size()) - own,
                        fmt::join(issuers, ", "));
  }
  if (!signer.empty() || !service_key) return Well(kRevocations, what);
  return Attention(kRevocations, what + "; the key that signed their list is in force no more",
                   "keyctl key revocations --export FILE makes a new one; then give the other "
                   "hosts its public half, keyctl key show keyward-service --pem");
}

}  // namespace

Finding CheckAudit(const AuditSummary& audit) {
  if (audit.state.empty() || audit.state == "closed") {
    return Unknown(kAudit, "closed, as the service is sealed");
  }
  std::string what =
      fmt::format("its head is record {}, signed up to {}", audit.last, audit.signed_through);
  if (audit.state == "full") {
    return Attention(kAudit, what + "; the disk is full, so what must be recorded is refused",
                     "make room on the disk of the state directory; or let security.yaml keep "
                     "less of the log (audit: max_size)",
                     "ResourceExhausted");
  }
  if (audit.unrecorded > 0) {
    return Attention(kAudit,
                     fmt::format("{}; {} event{} could not be recorded", what, audit.unrecorded,
                                 audit.unrecorded == 1 ? "" : "s"),
                     "see keyd's log for the cause: journalctl -u keyward; the next record tells "
                     "how many there were");
  }
  if (audit.last - std::min(audit.last, audit.signed_through) >= kManyUnsigned) {
    return Attention(kAudit, what + ", and not beyond",
                     "bring the hardware of the key keyward-service back; or try keyctl audit sign "
                     "for the cause");
  }
  return Well(kAudit, std::move(what));
}

Finding CheckRevocations(const Result<std::vector<RevocationSummary>>& revocations,
                         const Result<KeyDetails>& service_key) {
  if (revocations) {
    if (service_key || service_key.error().code() == ErrorCode::kNotFound) {
      return JudgeRevocations(*revocations, service_key);
    }
    return Unknown(kRevocations,
                   "the key that signs them cannot be seen: " + service_key.error().message());
  }
  switch (revocations.error().code()) {
    case ErrorCode::kPermissionDenied:
      return Unknown(kRevocations, "this is for admins to see", "run keyctl doctor as an admin");
    case ErrorCode::kSealed:
      return Unknown(kRevocations, "not opened, as the service is sealed");
    default:
      return Unknown(kRevocations, "keyd does not tell: " + revocations.error().message());
  }
}

std::optional<Finding> CheckBackupRecord(const BackupRecord& record, WallTime now) {
  if (record.state == "made") return JudgeBackupAge(record.created, now, "keyd's own record");
  if (record.state == "none") return Unknown(kBackup, "none was made here");
  const std::optional<ErrorCode> code = ErrorCodeFromName(record.state);
  if (!code || *code == ErrorCode::kSealed) return std::nullopt;
  return Attention(kBackup, "keyd cannot use what it noted of the latest: " + record.state,
                   "remove last-backup from the state directory, and make a backup anew",
                   record.state);
}

Finding JudgeBackupAge(WallTime made, WallTime now, std::string_view source) {
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - made);
  const std::string what =
      fmt::format("the latest is of {}, {} ago, by {}", Timestamp(made),
                  HumanDuration(std::max(age, std::chrono::seconds(0))), source);
  if (age < kOldBackup) return Well(kBackup, what);
  return Attention(kBackup, what, "make another one, and prove that it restores");
}

}  // namespace keyward::keyctl
