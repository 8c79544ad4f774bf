// The modules and remote peers that an admin has enrolled, and the public keys that nobody may be
// enrolled with any more.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/public_key.h"
#include "keyd/journal.h"

namespace keyward {

inline constexpr size_t kMaxRevocations = 20'000;
inline constexpr size_t kMaxRevocationsOfIssuer = 5'000;  // so that none keeps the others out

// Belongs to the bus thread. An enrolment is visible once it is on disk and the hardware has
// answered; a removal at once, and `done` is told when it will last. What holds and is not
// confirmed, or not written, is told as a failure that says so. The audit log has who asked for
// what (`caller`: a uid) and what became of it. Errors of the changes: the journal's.
class Registry {
 public:
  using Done = std::function<void(Result<void>)>;
  using Rules = std::function<Result<void>()>;

  // `journal` outlives the registry. Errors: kDataCorrupt.
  static Result<std::unique_ptr<Registry>> Create(Journal& journal, const StoredState& state);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // `rules` says whether it may be: asked now, and once more when it is written, as what was asked
  // for before may have changed the answer. Errors also: those of `rules`, kAlreadyExists (enrolled
  // with another key; or a peer has that name).
  void EnrolModule(const std::string& name, const std::string& key, const Rules& rules,
                   uint32_t caller, const Done& done);
  // Errors also: kNotFound.
  void RemoveModule(const std::string& name, uint32_t caller, const Done& done);
  // Forgets every module whose identity was `key`, which the store has deleted.
  void ForgetIdentity(const std::string& key);
  // `rules` as with a module. Errors also: kAlreadyExists (enrolled with another key; or a module
  // has that name), kNotSupported (not Ed25519), kRevoked.
  void EnrolPeer(const std::string& name, const PublicKey& key, const Rules& rules, uint32_t caller,
                 const Done& done);
  // Errors also: kNotFound.
  void RemovePeer(const std::string& name, uint32_t caller, const Done& done);
  // Removes it, and its key is never trusted again. Errors also: kNotFound.
  void RevokePeer(const std::string& name, WallTime now, uint32_t caller, const Done& done);
  // Takes the revocations of a list that `issuer` signed. Errors also: kResourceExhausted (over
  // kMaxRevocations, or kMaxRevocationsOfIssuer).
  void Import(const std::vector<Revocation>& revocations, const Fingerprint& issuer,
              uint32_t caller, const Done& done);

  // Writes down what was removed or revoked and could not be written. To be called now and then.
  void RecordUnrecorded();

  // The name of the module's identity key; null when it is not enrolled.
  const std::string* IdentityOf(std::string_view module) const;
  // The same of a module whose removal could not be written yet.
  const std::string* RemovedIdentityOf(std::string_view module) const;
  // Null when there is no such remote peer. Whether its key IsRevoked is another question.
  const PublicKey* PeerKey(std::string_view peer) const;
  bool IsRevoked(const PublicKey& key) const { return revoked_.contains(key.Fingerprint()); }
  // But for the versions of the keys that are kept here.
  const std::vector<RevocationRecord>& revocations() const { return revocations_; }

  const std::map<std::string, std::string, std::less<>>& modules() const { return modules_; }
  const std::map<std::string, PublicKey, std::less<>>& peers() const { return peers_; }

 private:
  // One that is not confirmed yet.
  struct Enrolment {
    std::string name;
    std::string identity;           // of a module
    std::optional<PublicKey> peer;  // its key
    bool withdrawn = false;         // removed meanwhile
  };
  // Writes it with `write` as long as `rules` hold, and gives it to `enrol` once it is confirmed.
  void Enrol(Enrolment enrolment, const Rules& rules, const Store::Change& write,
             const audit::Event& event, const std::function<void()>& enrol, const Done& done);
  // Whether one of that name waited.
  bool Withdraw(std::string_view name);

  std::unexpected<Error> Refuse(const audit::Event& event, Error why);
  Result<void> CheckModule(const std::string& name, const std::string& key) const;
  Result<void> CheckPeer(const std::string& name, const PublicKey& key) const;
  // What must not wait.
  void Record(const Store::Change& change, Journal::Event event, const Journal::Done& done);
  // Until the store was told of a removal, it can be repeated.
  Journal::Done ToldOfPeer(const std::string& name, const Done& done);
  explicit Registry(Journal& journal) : journal_(journal) {}
  void Take(const RevocationRecord& record);
  // Takes a revocation that is to be written down.
  void Owe(const RevocationRecord& record);
  // Of a remote peer that was revoked here; null when there is none.
  const RevocationRecord* OwedOf(std::string_view peer) const;
  // Writes down what is owed, together with `also`.
  void CommitOwed(const Store::Change& also, Journal::Event event, const Journal::Done& done);

  Journal& journal_;
  std::vector<std::shared_ptr<Enrolment>> waiting_;
  std::map<std::string, std::string, std::less<>> modules_;
  std::map<std::string, PublicKey, std::less<>> peers_;
  std::vector<RevocationRecord> revocations_;
  std::set<Fingerprint> revoked_;  // theirs
  // Revocations that the store was not told yet, by fingerprint and issuer.
  std::map<std::pair<Fingerprint, Bytes>, RevocationRecord> owed_;
  // What was removed, which the store was not told; of a module, its identity.
  std::map<std::string, std::string, std::less<>> unrecorded_modules_;
  std::set<std::string, std::less<>> unrecorded_peers_;
  int recording_ = 0;  // removals and revocations that the journal has
};

}  // namespace keyward
