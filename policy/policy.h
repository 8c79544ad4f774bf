// Who may do what: the decisions that security.yaml stands for.
//
// Everything that is not granted is denied. A caller is the Unix user and groups that the bus
// vouches for; by them it is one module, several (two modules may run as one user) or none.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/pcr_policy.h"
#include "core/purpose.h"
#include "core/result.h"

namespace keyward::policy {

// As the kernel vouches for it: GetConnectionCredentials or SO_PEERCRED. `gids` holds the primary
// group and all supplementary ones.
struct Caller {
  uint32_t uid;
  std::vector<uint32_t> gids;
};

struct Principals {
  std::set<uint32_t> uids;
  std::set<uint32_t> gids;

  bool Include(const Caller& caller) const;
};

// What one module may have. The values here are the defaults of security.yaml.
struct SessionLimits {
  std::chrono::seconds session_timeout{3600};      // from opening to forced end
  std::chrono::seconds handshake_timeout{30};      // from opening to established
  uint32_t max_message_size = uint32_t{16} << 20;  // bytes of plaintext
  uint32_t max_sessions = 100;                     // at one time

  bool operator==(const SessionLimits&) const = default;
};

// When a key gets a new version, and how long the old one stays good for what is under way.
struct RotationRules {
  std::optional<std::chrono::seconds> max_age;  // none: never by age
  std::optional<uint64_t> max_uses;             // signatures; none: never by their number
  std::chrono::seconds grace_period{86400};

  bool operator==(const RotationRules&) const = default;
};

// How much of the audit log is kept, and on how much disk.
struct AuditLimits {
  uint64_t max_size = uint64_t{256} << 20;         // bytes; older records go
  std::chrono::seconds max_age{400 * 24 * 3600};   // so do those before
  uint32_t segment_size = uint32_t{4} << 20;       // bytes of one file
  uint32_t reserve = uint32_t{1} << 20;            // bytes of disk kept free for what cannot wait
  std::chrono::seconds checkpoint_interval{3600};  // from one signature of it to the next

  bool operator==(const AuditLimits&) const = default;
};

struct Module {
  std::string name;
  Principals members;
  std::map<std::string, std::set<Purpose>, std::less<>>
      keys;  // key name -> what it may be used for
  std::set<std::string, std::less<>> peers;
  SessionLimits limits;
};

// The PKCS#11 token. The PIN itself never stands in security.yaml.
struct HsmSettings {
  std::string module;  // absolute path of the PKCS#11 library
  std::string token;   // label
  // Exactly one of the two is set.
  std::optional<std::string> pin_file;        // absolute path
  std::optional<std::string> pin_credential;  // a file in $CREDENTIALS_DIRECTORY (systemd.exec(5))
};

struct TpmSettings {
  std::string tcti;  // as Tss2_TctiLdr_Initialize takes it: "device:/dev/tpmrm0"
  // What a quote of the boot covers: firmware, its drivers, the boot loader, Secure Boot. None of
  // them changes once the machine runs.
  PcrSelection attest_pcrs = {0, 2, 4, 7};
};

// Immutable, so any thread may ask. What a reload brings is another Policy; pointers to modules
// live as long as the Policy that gave them.
class Policy {
 public:
  struct Settings {
    Principals admins;
    std::optional<HsmSettings> hsm;
    std::optional<TpmSettings> tpm;
    std::vector<Module> modules;  // names are unique
    RotationRules rotation;       // of every key without rules of its own
    std::map<std::string, RotationRules, std::less<>> key_rotation;
    AuditLimits audit = {};
  };

  // Denies everything.
  Policy() = default;
  explicit Policy(Settings settings);

  const std::optional<HsmSettings>& hsm() const { return settings_.hsm; }
  const std::optional<TpmSettings>& tpm() const { return settings_.tpm; }
  const AuditLimits& audit() const { return settings_.audit; }
  // In order of name.
  const std::vector<Module>& modules() const { return settings_.modules; }

  bool IsAdmin(const Caller& caller) const;
  // In order of name; empty for a caller that no rule names.
  std::vector<const Module*> ModulesOf(const Caller& caller) const;
  // Null when the policy has no such module.
  const Module* FindModule(std::string_view name) const;

  // The modules of the caller's that may use `key` for `purpose`: in order of name, never empty.
  // Errors: kPermissionDenied, in the same words whether or not there is such a key, so ask this
  // before looking for the key. Being an admin is no grant.
  Result<std::vector<const Module*>> MayUseKey(const Caller& caller, std::string_view key,
                                               Purpose purpose) const;

  // Those of them that may talk to `peer` as well. Errors: those of MayUseKey; kPeerNotAllowed when
  // modules may use the key but none may talk to `peer`.
  Result<std::vector<const Module*>> MayOpenSession(const Caller& caller, std::string_view key,
                                                    Purpose purpose, std::string_view peer) const;

  const RotationRules& RotationOf(std::string_view key) const;

  // Whether the caller may know that `key` exists: admins, and modules with any grant on it.
  bool MaySee(const Caller& caller, std::string_view key) const;

 private:
  Settings settings_;
};

// Errors: kPeerNotAllowed.
Result<void> MayTalkTo(const Module& module, std::string_view peer);

}  // namespace keyward::policy
