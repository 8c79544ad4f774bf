// One PKCS#11 session, and the functions of the module that Keyward uses on it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "core/secret_bytes.h"
#include "hsm/module.h"
#include "hsm/object_template.h"
#include "hsm/pkcs11.h"

namespace keyward::hsm {

struct TokenState {
  CK_FLAGS flags;
  std::string model;   // "SoftHSM v2"
  std::string serial;  // of a token, or of its initialisation: SoftHSM keeps it when the token is
                       // initialised again in its slot
};

struct KeyPairHandles {
  CK_OBJECT_HANDLE public_half;
  CK_OBJECT_HANDLE private_half;
};

// The slot whose token has `label`. Errors: kCustodianUnavailable (none), kConfiguration (several).
Result<CK_SLOT_ID> FindToken(HsmModule& module, const std::string& label);

// Move-only; closed at its end. One thread: modules crash when two use one session. Errors of all
// functions: what return_value.cc makes of the CK_RV, and kCustodianUnavailable once the module was
// reloaded, since the handle then means nothing or another session.
class Session {
 public:
  // A read-write session.
  static Result<Session> Open(const std::shared_ptr<HsmModule>& module, CK_SLOT_ID slot);
  Session(Session&& other) noexcept;
  Session& operator=(Session&& other) = delete;
  ~Session();

  Result<TokenState> Token() const;
  // The modes of a mechanism and its key sizes in bits; nothing if the token does not have it.
  Result<std::optional<CK_MECHANISM_INFO>> Mechanism(CK_MECHANISM_TYPE type) const;
  // All sessions of the process on one token are logged in, or none is.
  Result<bool> LoggedIn() const;
  Result<void> Login(const SecretBytes& pin) const;

  // At most kMaxFound objects. None is an answer only while the token answers too: SoftHSM finds
  // nothing on a token that went away.
  Result<std::vector<CK_OBJECT_HANDLE>> Find(ObjectTemplate wanted) const;
  // Of no secret. Errors also: kDataCorrupt (over 1 KiB).
  Result<Bytes> Attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const;
  Result<KeyPairHandles> GenerateKeyPair(CK_MECHANISM_TYPE type, ObjectTemplate public_half,
                                         ObjectTemplate private_half) const;
  Result<CK_OBJECT_HANDLE> GenerateKey(CK_MECHANISM_TYPE type, ObjectTemplate key) const;
  Result<void> Create(ObjectTemplate object) const;
  // An object that is gone already is success.
  Result<void> Destroy(CK_OBJECT_HANDLE object) const;

  // Single-part, with a mechanism without parameters.
  Result<Bytes> Sign(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, ByteView data) const;
  // Single-part. The size of what is written to `out`, which must hold 16 bytes more than `data`
  // for Encrypt and as many for Decrypt.
  Result<size_t> Encrypt(CK_MECHANISM mechanism, CK_OBJECT_HANDLE key, ByteView data,
                         MutableBytes out) const;
  Result<size_t> Decrypt(CK_MECHANISM mechanism, CK_OBJECT_HANDLE key, ByteView data,
                         MutableBytes out) const;

  static constexpr size_t kMaxFound = 64;

 private:
  Session(std::shared_ptr<HsmModule> module, CK_SLOT_ID slot, uint64_t generation)
      : module_(std::move(module)), slot_(slot), generation_(generation) {}
  Result<HsmModule::Call> Enter() const;
  Result<std::vector<CK_OBJECT_HANDLE>> FindObjects(ObjectTemplate wanted) const;

  std::shared_ptr<HsmModule> module_;
  CK_SLOT_ID slot_;
  uint64_t generation_;
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
};

}  // namespace keyward::hsm
