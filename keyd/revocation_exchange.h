// Revocations as lists that hosts give to each other: core/revocation_list.h has their form.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "keyd/admin_service.h"
#include "keyd/joint_outcome.h"

namespace keyward {

// Belongs to the bus thread; what it is asked may end after it. Errors of every call: kSealed.
class RevocationExchange {
 public:
  struct Exported {
    std::string list;
    PublicKey signer;
  };
  struct Imported {
    uint32_t added;           // revocations that were not known before
    uint32_t sessions_ended;  // by them
  };
  using ExportDone = std::function<void(Result<Exported>)>;
  using ImportDone = std::function<void(Result<Imported>)>;

  RevocationExchange(Daemon& daemon, AdminService& admin) : daemon_(daemon), admin_(admin) {}

  // What was revoked here, by no list of others: theirs to sign. The versions of keys first.
  Result<std::vector<RevocationRecord>> List() const;
  // The own part of it, signed with the service key, once it is told who is given it. Errors also:
  // those of ServiceKey::Sign and AuditTrail::Record, kTooLarge.
  void Export(uint32_t caller, const ExportDone& done);
  // Takes over a list that `signer`, whom the admin vouches for, has signed: what it names is dead
  // before this returns, here too. Errors also: those of ReadRevocationList, the journal's.
  void Import(std::string_view list, const PublicKey& signer, uint32_t caller,
              const ImportDone& done);

 private:
  uint32_t EndWithRevokedPeers(const Registry& registry);
  void RevokeVersions(const KeyRing& keys, const Registry& registry, uint32_t caller,
                      JointOutcome& joint);

  Daemon& daemon_;
  AdminService& admin_;
};

}  // namespace keyward
