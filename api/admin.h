// What administrators may ask of keyd; keyctl is made of it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/client.h"
#include "api/connect.h"
#include "core/attester.h"
#include "core/clock.h"
#include "core/pcr_policy.h"
#include "core/public_key.h"
#include "core/result.h"
#include "core/revocation_list.h"
#include "core/unique_fd.h"

namespace keyward {

struct CustodianSummary {
  std::string name;         // "hsm", "tpm"
  std::string description;  // "SoftHSM v2 token 'keyward'"
  std::string state;        // "ok", or the name of an ErrorCode
  std::string detail;       // what is wrong and what to do; "" when nothing is
  WallTime since;           // when it came to be in that state
  uint32_t resets = 0;      // restarts and returns of the hardware that keyd saw
};

struct AuditSummary {
  std::string state;            // "ok", "full", "closed" (the service is sealed)
  uint64_t last = 0;            // record
  uint64_t signed_through = 0;  // the last record that a signature answers for; 0: none
  uint64_t unrecorded = 0;      // events that could not be recorded, and no record tells of yet
};

struct BackupRecord {
  std::string state;  // "made", "none", or the name of the ErrorCode why keyd cannot tell
  WallTime created;   // where it was made
};

struct ServiceStatus {
  std::string version;
  std::string health;         // "ok", "degraded", "sealed"
  std::string seal_code;      // why it is sealed: the name of an ErrorCode; "" when it is not
  std::string seal_reason;    // what is wrong and what to do
  std::string secret_memory;  // "memfd_secret", "locked pages"
  std::vector<CustodianSummary> custodians;
  AuditSummary audit;
  uint32_t sessions = 0;
  std::chrono::seconds uptime{};
  BootSummary boot = {};
  uint64_t epoch = 0;            // of the stored state; 0 while sealed
  bool epoch_confirmed = false;  // by the counter in the hardware
  BackupRecord backup = {};      // the latest that this service made
};

struct VersionSummary {
  uint32_t number = 0;
  std::string state;  // Name(VersionState): "pending", "active", "retiring", "retired", ...
  Bytes spki;         // DER SubjectPublicKeyInfo
  WallTime created;
  std::optional<WallTime> activated;
  std::optional<WallTime> retire_at;  // while it is retiring
  uint64_t uses = 0;                  // signatures
};

struct KeyDetails {
  std::string name;
  std::string algorithm;
  std::string custody;
  std::string custodian;
  Bytes spki;  // of the active version; empty when there is none
  std::vector<VersionSummary> versions;
};

struct KeyRequest {
  std::string name;
  std::string algorithm;  // Name(Algorithm)
  std::string custody;    // Name(Custody)
  std::string custodian;  // "hsm", "tpm"; "" for custody "derived"
};

struct ModuleSummary {
  std::string name;
  std::string kind;         // "module", "peer"
  std::string key;          // of its identity; "" for a peer
  std::string fingerprint;  // SHA-256 of the identity's SPKI in hex; "" when not enrolled
  std::string state;        // "enrolled", "revoked", "not enrolled"
  uint32_t sessions = 0;
};

struct SessionSummary {
  std::string id;  // object path
  std::string module;
  std::string key;
  uint32_t key_version = 0;
  std::string peer;
  std::string protocol;
  std::string role;   // "initiator", "responder"
  std::string state;  // "handshake", "established", "closed"
  std::chrono::seconds expires_in{};
  uint64_t sealed = 0;  // messages
  uint64_t opened = 0;
};

struct RevocationSummary {
  Revocation revocation;
  Bytes issuer;  // fingerprint of who signed the list it came with; empty: revoked there
};

struct ExportedRevocations {
  std::string list;  // core/revocation_list.h
  PublicKey signer;
};

struct ImportedRevocations {
  uint32_t added = 0;  // revocations that were not known before
  uint32_t sessions_ended = 0;
};

// A TPM's PCRs, and the states of them that release the master key.
struct PcrSummary {
  struct Policy {
    PcrSelection pcrs;
    Bytes digest;
  };
  Bytes authority;  // DER SubjectPublicKeyInfo of who signs
  PcrValues values;
  std::vector<Policy> policies;  // the latest first
};

// One version of a key, as a backup tells of it.
struct BackupVersion {
  std::string key;
  uint32_t number = 0;
  std::string custodian;    // "" where its private half is in the backup
  std::string fingerprint;  // likewise; SHA-256 of the SPKI in hex
};

struct CreatedBackup {
  Bytes id;
  Bytes der;  // CMS EnvelopedData
  std::vector<BackupVersion> held;
  std::vector<BackupVersion> left_out;  // which the hardware does not let out
};

// What keyd says of a backup that was opened.
struct BackupCheck {
  bool own = false;  // it was made by this service
  Bytes latest;      // id of the one that was made last; empty when none is known
  WallTime latest_created;
  std::vector<CustodianSummary> custodians;  // state: whether it can seal what a backup holds
};

// There is a file that tells of such a custodian, and keyd did not write it so.
inline constexpr const char* kRefusedFormer = "refused";

// Where the master key is sealed.
struct SealsSummary {
  std::string custodian;  // "hsm", "tpm"
  std::string second;     // place of the second seal: "hsm", "tpm", "recovery"; "": there is none
  Bytes holder;  // tpm: SPKI of who signs PCR policies; recovery: SHA-256 of the certificate
  WallTime made;
  // Custodian that had it before, and has not destroyed its part yet; or "", or kRefusedFormer.
  std::string former;
};

// One file of keyd's audit log.
struct AuditPart {
  UniqueFd file;       // to read from
  uint64_t first = 0;  // its first record
  uint64_t size = 0;   // bytes of whole records in it
  uint64_t next = 0;   // first record of the file after it; 0: there is none yet
};

struct AuditFollowing {
  UniqueFd lines;      // a pipe that gets each record as it is written; ends when the log closes
  uint64_t first = 0;  // the record that comes first
};

// An interface, so that tools can be tested without a keyd. One thread at a time; calls block.
// Errors of every call: kUnreachable, kPermissionDenied (not an admin), and those said at the call;
// kMalformed of one that gives PCRs or revocations (keyd is of another version).
class AdminClient {
 public:
  static Result<std::unique_ptr<AdminClient>> Connect(const ConnectOptions& options = {});
  virtual ~AdminClient() = default;

  virtual Result<ServiceStatus> Status() = 0;

  virtual Result<std::vector<KeySummary>> ListKeys() = 0;
  // Errors: kNotFound.
  virtual Result<KeyDetails> DescribeKey(const std::string& name) = 0;
  // May take as long as the hardware does: an RSA key in a TPM, a minute. This, as every call, is
  // waited for three minutes. Errors: kInvalidArgument, kAlreadyExists, kNotSupported, and the
  // custodian's.
  virtual Result<PublicKey> GenerateKey(const KeyRequest& request) = 0;
  // Gives the number of the new active version. Errors: kNotFound, kRevoked, and the custodian's.
  virtual Result<uint32_t> RotateKey(const std::string& name) = 0;
  // The two halves of a rotation; each gives the version's number. Errors: kNotFound, and those of
  // RotateKey; PrepareKey: kAlreadyExists (a version waits already).
  virtual Result<uint32_t> PrepareKey(const std::string& name) = 0;
  virtual Result<uint32_t> ActivateKey(const std::string& name) = 0;
  // Ends a grace period. Errors: kNotFound, kWrongState (the version is not retiring).
  virtual Result<void> RetireVersion(const std::string& name, uint32_t version) = 0;
  // One version, or all. Gives the number of sessions that ended by it. Errors: kNotFound.
  virtual Result<uint32_t> RevokeKey(const std::string& name, std::optional<uint32_t> version) = 0;
  // One version, or all. Gives the number of sessions that ended by it. Errors: kNotFound, and the
  // custodian's.
  virtual Result<uint32_t> DestroyKey(const std::string& name, std::optional<uint32_t> version) = 0;

  virtual Result<std::vector<ModuleSummary>> ListModules() = 0;
  // Errors: kNotFound (the policy has no such module, or there is no such key), kAlreadyExists,
  // kInvalidArgument, kNotSupported (the key cannot be an identity).
  virtual Result<void> EnrolModule(const std::string& module, const std::string& key) = 0;
  virtual Result<void> EnrolPeer(const std::string& peer, const PublicKey& key) = 0;
  // Both give the number of sessions that ended. Errors: kNotFound.
  virtual Result<uint32_t> RemoveModule(const std::string& module) = 0;
  virtual Result<uint32_t> RemovePeer(const std::string& peer) = 0;

  // A module: its identity key is revoked, and it is removed. A remote peer: it is removed, and its
  // key can never be enrolled again. Gives the number of sessions that ended. Errors: kNotFound.
  virtual Result<uint32_t> RevokeModule(const std::string& name) = 0;
  virtual Result<std::vector<RevocationSummary>> ListRevocations() = 0;
  // What was revoked there, as a list for other hosts. Errors: the custodian's.
  virtual Result<ExportedRevocations> ExportRevocations() = 0;
  // Errors: those of ReadRevocationList.
  virtual Result<ImportedRevocations> ImportRevocations(std::string_view list,
                                                        const PublicKey& signer) = 0;

  virtual Result<std::vector<SessionSummary>> ListSessions() = 0;
  // Each gives the number of sessions that ended. Errors: kNotFound (no such session).
  virtual Result<uint32_t> EndSession(const std::string& id) = 0;
  virtual Result<uint32_t> EndSessionsOf(const std::string& module) = 0;
  virtual Result<uint32_t> EndAllSessions() = 0;

  // The old policy stays in force when the new one is not valid. Errors: kConfiguration, with the
  // lines that are wrong; kIo.
  virtual Result<void> ReloadPolicy() = 0;

  // Gives the number of sessions that ended.
  virtual Result<uint32_t> Seal() = 0;
  // The same, and the hardware destroys what everything stored depends on: for emergencies.
  virtual Result<uint32_t> ZeroizeAll() = 0;
  // Errors: why the service stays sealed.
  virtual Result<void> Unseal() = 0;

  // `place`: "hsm"; "tpm", with the SPKI of who signs PCR policies; "recovery", with a certificate
  // (PEM). Errors: kAlreadyExists (there is one), kInvalidArgument, kConfiguration (no such
  // hardware), kMalformed, kNotSupported, kExpired (the certificate), kBusy, and the custodians'.
  virtual Result<void> MakeSecondSeal(const std::string& place, const Bytes& material) = 0;
  virtual Result<SealsSummary> ShowSeals() = 0;
  // `lost`: the hardware that has it will not come back. Errors: the custodian's.
  virtual Result<void> ForgetSecondSeal(bool lost) = 0;

  // Both are recorded in the audit log. The file that has `record`, or the oldest where that is
  // removed.
  virtual Result<AuditPart> ReadAudit(uint64_t record) = 0;
  // Errors: kResourceExhausted (too many follow it).
  virtual Result<AuditFollowing> FollowAudit() = 0;
  // Has the hardware sign what there is. Errors: kBusy, the custodian's.
  virtual Result<void> SignAudit() = 0;

  // `also`: PCRs to read besides those of the latest policy. Errors: kNotSupported (an HSM has the
  // master key).
  virtual Result<PcrSummary> ShowPcrPolicies(const PcrSelection& also) = 0;
  // Errors: kAuthenticationFailed (not signed by the authority), kNotSupported.
  virtual Result<void> AddPcrPolicy(const SignedPcrPolicy& policy) = 0;

  // A quote of the TPM for `nonce`, 1 to kMaxQuoteNonce bytes; for none, that of keyd's start,
  // whose nonce is the boot's id. Errors: kNotSupported (no TPM), kTooLarge, kMalformed (an answer
  // that is none), and the custodian's.
  virtual Result<Quote> Attest(const Bytes& nonce) = 0;
  // `certificates`: PEM, one or more. Errors: kMalformed, kNotSupported, kExpired (a certificate),
  // kBusy (keys were changed meanwhile), and the custodians'.
  virtual Result<CreatedBackup> CreateBackup(const std::string& certificates) = 0;
  // `digest` and `origin`: of the backup that was opened.
  virtual Result<BackupCheck> CheckBackup(const Bytes& digest, const Bytes& origin) = 0;
};

}  // namespace keyward
