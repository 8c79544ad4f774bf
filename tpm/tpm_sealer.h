// Sealing by a TPM.
#pragma once

#include "core/sealer.h"
#include "tpm/link_keeper.h"

namespace keyward::tpm {

// Seals `secret` in an object whose authorization value is a hash of `label` and `context`. So the
// TPM itself refuses to open it for another context, and because the object is noDA the refusal is
// never counted. `label` keeps apart the uses that Keyward makes of it; see below. Errors:
// kTooLarge, and those of Link.
Result<Bytes> SealObject(Link& link, const SecretBytes& secret, std::string_view label,
                         ByteView context);
// Errors: kMalformed, kAuthenticationFailed, and those of Link.
Result<SecretBytes> UnsealObject(Link& link, ByteView blob, std::string_view label,
                                 ByteView context);

inline constexpr std::string_view kSealerLabel = "keyward.tpm.sealed.1";
inline constexpr std::string_view kKeyAuthLabel = "keyward.tpm.key-auth.1";

class TpmSealer final : public Sealer {
 public:
  explicit TpmSealer(LinkKeeper& links) : links_(links) {}

  Result<Bytes> Seal(const SecretBytes& secret, ByteView context) override;
  Result<SecretBytes> Unseal(ByteView blob, ByteView context) override;

 private:
  LinkKeeper& links_;
};

}  // namespace keyward::tpm
