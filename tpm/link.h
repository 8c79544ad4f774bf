// Everything that stands between two losses of the TPM: connection, storage primary, session, and
// the objects that are loaded.
#pragma once

#include <filesystem>
#include <memory>

#include "core/secret_bytes.h"
#include "tpm/blob.h"
#include "tpm/capabilities.h"
#include "tpm/connection.h"
#include "tpm/esys_session.h"
#include "tpm/lru_cache.h"
#include "tpm/storage_primary.h"

namespace keyward::tpm {

// One thread at a time. Every command goes in the salted session. A TPM without a resource manager
// has room for three transient objects: the primary, and two that are kept loaded, so that using
// them again is one command. Errors of every function: kCustodianUnavailable; after it, lost()
// tells whether a new link may help.
class Link {
 public:
  // Leaked objects are flushed (where no other client can own them), the primary is made and its
  // name checked against the one pinned in `state_directory`. Errors: kCustodianReplaced,
  // kCustodianCleared, kDataCorrupt (pin file), kIo.
  static Result<std::unique_ptr<Link>> Connect(const std::string& tcti,
                                               const std::filesystem::path& state_directory);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Makes an object under the primary. ESAPI keeps a copy of `sensitive` until the next command
  // that takes input of its own, as Load does. Errors: kAuthenticationFailed (not what was asked
  // for).
  Result<WrappedObject> Create(const TPM2B_SENSITIVE_CREATE& sensitive, const TPM2B_PUBLIC& area);

  // The object that was loaded as `key`, or nothing.
  std::optional<ESYS_TR> FindLoaded(const Digest& key);
  // Loads and keeps it as `key`; the handle holds until the next Create or Load. A wrong `auth`
  // shows when the object is used. Errors: kAuthenticationFailed (tampered, or of another TPM).
  Result<ESYS_TR> Load(const Digest& key, const WrappedObject& object, ByteView auth);
  void Unload(const Digest& key) { loaded_.Erase(key); }

  // Errors of both: kAuthenticationFailed (wrong auth).
  Result<SecretBytes> Unseal(ESYS_TR object);
  Result<EsysPtr<TPMT_SIGNATURE>> Sign(ESYS_TR key, ByteView digest);

  // For commands that other files send: where to, the session, and the key to salt another session
  // to. A command that makes a transient object needs MakeRoom() first, and may leave one object
  // until it returns.
  Connection& connection() { return *connection_; }
  Result<ESYS_TR> Session(EsysSession::Protect protect) { return session_.For(protect); }
  ESYS_TR salt_key() const { return primary_.get(); }
  void MakeRoom() { loaded_.MakeRoom(); }

  // One round trip that nobody but the pinned TPM can answer.
  Result<void> ProveAlive();

  const TpmFacts& facts() const { return facts_; }
  bool lost() const { return connection_->lost(); }

 private:
  static constexpr size_t kMaxLoaded = 2;

  Link(std::unique_ptr<Connection> connection, Primary primary, EsysSession session,
       TpmFacts facts);

  std::unique_ptr<Connection> connection_;  // ended last: the rest flushes through it
  EsysHandle primary_;
  EsysSession session_;
  LruCache<EsysHandle> loaded_{kMaxLoaded};
  TpmFacts facts_;
};

}  // namespace keyward::tpm
