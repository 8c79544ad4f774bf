#include "keyctl/finding.h"

#include <utility>

namespace keyward::keyctl {
namespace {

// What to do about a TPM, or a token; about both where it is not known which of them it is.
std::string ForKind(std::string_view subject, std::string tpm, std::string hsm) {
  if (subject == "tpm") return tpm;
  if (subject == "hsm") return hsm;
  return "for a TPM: " + tpm + "; for an HSM: " + hsm;
}

std::string Unavailable(std::string_view subject) {
  return ForKind(subject,
                 "where the finding tells of a failed self-test, restart the machine, or replace "
                 "the TPM; else see that the TPM is there, that keyd's user may open it "
                 "(/dev/tpmrm0: group tss), and that no other program holds it",
                 "see that the token is plugged in and that its module and label are as "
                 "security.yaml has them") +
         "; keyd goes on by itself when it answers";
}

// Where keyd has noted which hardware it belongs to.
std::string PinnedIn(std::string_view subject) {
  if (subject == "tpm") return "tpm-primary-name";
  return subject == "hsm" ? "hsm-token-serial" : "tpm-primary-name or hsm-token-serial";
}

std::string Cleared(std::string_view subject) {
  return "bring the former one back if it still exists; else its keys are lost: restore a backup, "
         "or remove " +
         PinnedIn(subject) + " from the state directory and make new keys";
}

std::string PinRejected(std::string_view subject) {
  return ForKind(subject, "take the owner's password away: tpm2_changeauth -c owner -p PASSWORD",
                 "write the right PIN to the PIN file, or set the token's PIN to what that says; "
                 "keyd then tries it once, by itself; where it does not, touch the PIN file; where "
                 "the finding tells of one last try, first log in by hand with the token's own "
                 "tools");
}

std::string NoRoom(std::string_view subject) {
  if (subject == "tpm") return "remove an NV index that nobody uses: tpm2_nvundefine";
  if (subject == "hsm") {
    return "end other programs' sessions on the token, or remove objects that nobody uses";
  }
  return "see that the disk has room and that keyd's user owns its state directory";
}

std::string LockedOut(std::string_view subject) {
  return ForKind(subject,
                 "find the program that tries wrong passwords; then wait, or run "
                 "tpm2_dictionarylockout --clear-lockout with the TPM's lockout password",
                 "have the token's security officer set a new user PIN, and write it to the PIN "
                 "file");
}

}  // namespace

std::string_view Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kAttention:
      return "attention";
    case Verdict::kUnknown:
      return "unknown";
  }
  return "unknown";
}

Finding Well(std::string check, std::string what) {
  return {std::move(check), Verdict::kOk, std::move(what), "", ""};
}

Finding Attention(std::string check, std::string what, std::string remedy, std::string code) {
  return {std::move(check), Verdict::kAttention, std::move(what), std::move(remedy),
          std::move(code)};
}

Finding Unknown(std::string check, std::string what, std::string remedy) {
  return {std::move(check), Verdict::kUnknown, std::move(what), std::move(remedy), ""};
}

std::string RemedyFor(ErrorCode code, std::string_view subject) {
  switch (code) {
    case ErrorCode::kCustodianUnavailable:
      return Unavailable(subject);
    case ErrorCode::kCustodianBusy:
      return "wait; if it lasts, end the other programs that use the hardware, or restart what "
             "hangs: the token, the TPM or its resource manager, or the machine; keyd goes on by "
             "itself when it answers";
    case ErrorCode::kCustodianReplaced:
      return "bring the former one back; to go on with this one, without the former keys, remove " +
             PinnedIn(subject) + " from the state directory, or restore a backup";
    case ErrorCode::kCustodianCleared:
      return Cleared(subject);
    case ErrorCode::kLockedOut:
      return LockedOut(subject);
    case ErrorCode::kPinRejected:
      return PinRejected(subject);
    case ErrorCode::kPcrMismatch:
      return "find out what changed: keyctl policy pcr show; an update that you made: keyctl "
             "policy pcr sign --key AUTHORITY; else do not sign, and restart the machine";
    case ErrorCode::kCircuitBreakerOpen:
      return "wait until it is tried again; its cause stands with the custodian";
    case ErrorCode::kRolledBack:
      return "put the latest state.db back, or restore a backup; if the hardware's own state was "
             "brought back from a copy, undo that; where it is the audit log, put its folder back, "
             "or go on without it: keyctl audit restart";
    case ErrorCode::kNotInitialised:
      return "make a master key: keyctl init; or, if there was one, bring its hardware back or "
             "restore a backup";
    case ErrorCode::kDataCorrupt:
      return "find the file in keyd's log, and restore it from a backup; where it is the audit "
             "log, put its folder back, or go on without it: keyctl audit restart";
    case ErrorCode::kSealed:
      return "keyctl unseal";
    case ErrorCode::kConfiguration:
      return "mend security.yaml or the file that it names: keyctl policy check FILE";
    case ErrorCode::kIo:
      return NoRoom("service");
    case ErrorCode::kResourceExhausted:
      return NoRoom(subject);
    default:
      return "see keyd's log: journalctl -u keyward";
  }
}

}  // namespace keyward::keyctl
