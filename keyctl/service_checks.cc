#include "keyctl/service_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/last_failure.h"
#include "keyctl/human.h"

namespace keyward::keyctl {
namespace {

constexpr const char* kBus = "bus";
constexpr const char* kKeyd = "keyd";
constexpr const char* kStored = "stored state";
constexpr const char* kPcrPolicy = "PCR policy";
constexpr const char* kSecondSeal = "second seal";

std::string RemedyForName(const std::string& code, std::string_view subject) {
  return RemedyFor(ErrorCodeFromName(code).value_or(ErrorCode::kInternal), subject);
}

Finding CheckCustodian(const CustodianSummary& custodian) {
  const std::string check = "custodian " + custodian.name;
  const std::string resets = custodian.resets == 0
                                 ? ""
                                 : fmt::format(
                                       "; restarted or away {} time{} since keyd's start"
                                       ", after which keyd went on by itself: where nobody "
                                       "did that, journalctl -k may tell why",
                                       custodian.resets, custodian.resets == 1 ? "" : "s");
  if (custodian.state == "ok") return Well(check, custodian.description + resets);
  return Attention(check,
                   fmt::format("{} since {}: {}{}", custodian.state, Timestamp(custodian.since),
                               custodian.detail, resets),
                   RemedyForName(custodian.state, custodian.name), custodian.state);
}

Finding CheckBoot(const BootSummary& boot) {
  constexpr const char* kCheck = "boot";
  if (boot.state == "no-tpm") return Well(kCheck, "nothing to attest: there is no TPM");
  if (boot.state == "attested") {
    return Well(kCheck, fmt::format("attested over PCRs {}", fmt::join(boot.pcrs, ",")));
  }
  const bool changed = boot.state == "changed";
  return Attention(
      kCheck, boot.detail,
      RemedyFor(changed ? ErrorCode::kPcrMismatch : ErrorCode::kCustodianUnavailable, "tpm"),
      changed ? "PcrMismatch" : "");
}

Finding CheckStore(const ServiceStatus& status) {
  if (status.health == "sealed") return Unknown(kStored, "not opened, as the service is sealed");
  const std::string what = fmt::format("epoch {}", status.epoch);
  if (status.epoch_confirmed) return Well(kStored, what + ", confirmed by the hardware");
  return Attention(kStored, what + ", which the hardware has not confirmed yet",
                   "bring the hardware of the master key back; keyd catches up by itself");
}

Finding CheckSeal(const ServiceStatus& status) {
  constexpr const char* kCheck = "seal";
  if (status.health != "sealed") return Well(kCheck, "the service is unsealed");
  // Where hardware is the cause, it is in that state itself.
  const auto cause =
      std::ranges::find(status.custodians, status.seal_code, &CustodianSummary::state);
  const std::string subject = cause == status.custodians.end() ? "service" : cause->name;
  return Attention(kCheck, "sealed: " + status.seal_reason,
                   RemedyForName(status.seal_code, subject), status.seal_code);
}

Finding ForAdmins(const char* check) {
  return Unknown(check, "this is for admins to see", "run keyctl doctor as an admin");
}

std::string RemedyForAbsence(ErrorCode code) {
  switch (code) {
    case ErrorCode::kPermissionDenied:
      return "install keyd's bus policy again, org.keyward.Keyd1.conf, and have the bus reload it";
    case ErrorCode::kNotSupported:
      return "restart keyd, so that it is of the version of this keyctl: systemctl restart keyward";
    default:
      return "systemctl start keyward; if it does not stay, journalctl -u keyward says why";
  }
}

}  // namespace

Finding CheckNoBus(const Error& error) {
  return Attention(kBus, error.message(),
                   "start the system's D-Bus; or set DBUS_SYSTEM_BUS_ADDRESS to keyd's bus",
                   std::string(Name(error.code())));
}

Findings CheckNoKeyd(const Error& error, const std::filesystem::path& state_directory) {
  Findings findings = {Well(kBus, "reachable")};
  const Result<std::optional<Error>> last = ReadLastFailure(state_directory);
  if (last && *last) {
    findings.push_back(Attention(kKeyd,
                                 fmt::format("{}; the last one ended: {}: {}", error.message(),
                                             Name((*last)->code()), (*last)->message()),
                                 RemedyFor((*last)->code(), "service"),
                                 std::string(Name((*last)->code()))));
  } else {
    findings.push_back(Attention(kKeyd, error.message(), RemedyForAbsence(error.code()),
                                 std::string(Name(error.code()))));
  }
  return findings;
}

Findings CheckStatus(const ServiceStatus& status) {
  Findings findings = {
      Well(kBus, "reachable"),
      Well(kKeyd, fmt::format("version {}, up {}", status.version, HumanDuration(status.uptime))),
      CheckSeal(status)};
  std::ranges::transform(status.custodians, std::back_inserter(findings), CheckCustodian);
  findings.push_back(CheckBoot(status.boot));
  findings.push_back(CheckStore(status));
  return findings;
}

Finding CheckPcrPolicies(const Result<PcrSummary>& summary) {
  if (!summary) {
    const ErrorCode code = summary.error().code();
    if (code == ErrorCode::kNotSupported) {
      return Well(kPcrPolicy, "none is needed: an HSM has the master key");
    }
    if (code == ErrorCode::kPermissionDenied) return ForAdmins(kPcrPolicy);
    return Unknown(kPcrPolicy, "the TPM cannot be asked: " + summary.error().message());
  }
  if (summary->policies.empty()) {
    return Attention(kPcrPolicy, "no state of the boot is signed",
                     "keyctl policy pcr sign --key AUTHORITY", "PcrMismatch");
  }
  const bool holds = std::ranges::any_of(summary->policies, [&](const PcrSummary::Policy& each) {
    return IsInState(summary->values, each.pcrs, each.digest).value_or(false);
  });
  if (holds) return Well(kPcrPolicy, "the state of now is signed");
  return Attention(kPcrPolicy, "the state of now is not signed: the TPM will not open",
                   RemedyFor(ErrorCode::kPcrMismatch, "tpm"), "PcrMismatch");
}

Finding CheckSecondSeal(const Result<SealsSummary>& seals) {
  if (!seals && seals.error().code() == ErrorCode::kPermissionDenied) return ForAdmins(kSecondSeal);
  if (!seals) {
    return Attention(kSecondSeal, seals.error().message(),
                     "keyctl master forget --lost, then make it again: keyctl master seal",
                     std::string(Name(seals.error().code())));
  }
  if (seals->former == kRefusedFormer) {
    return Attention(kSecondSeal, "the file master-key.former is not as keyd wrote it",
                     "find out who wrote it, and move it away: keyd destroys nothing by it",
                     "DataCorrupt");
  }
  std::string what = "none: what the hardware loses, only a backup brings back";
  if (!seals->second.empty()) {
    what = fmt::format("{}, made {}", seals->second, Timestamp(seals->made));
  }
  if (!seals->former.empty()) {
    what += fmt::format("; the {} that had the master key before is to destroy its part yet",
                        seals->former);
  }
  return Well(kSecondSeal, std::move(what));
}

}  // namespace keyward::keyctl
