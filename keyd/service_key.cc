#include "keyd/service_key.h"

#include <memory>
#include <utility>

#include "policy/name_rules.h"

namespace keyward {
namespace {

using VersionPtr = std::shared_ptr<KeyVersion>;

KeyRecord RecordOf(const std::string& custodian) {
  return {.name = std::string(policy::kServiceKeyName),
          .algorithm = Algorithm::kEcdsaP256,
          .custody = Custody::kHardware,
          .custodian = custodian,
          .next_version = 1};
}

void SignWith(const VersionPtr& version, Bytes statement, const KeyRing::Post& post,
              const ServiceKey::Done& done) {
  auto finish = [version, post, done](Result<Bytes> signature) {
    post([version, done, signature = std::move(signature)] {
      if (!signature) return done(Fail(signature.error()));
      done(ServiceKey::Signed{*signature, version->public_key()});
    });
  };
  const Result<void> queued = version->WithSigner(
      kDaemonItself, [finish, statement = std::move(statement)](const Result<SignFunction>& sign) {
        finish(sign ? (*sign)(statement) : Result<Bytes>(Fail(sign.error())));
      });
  if (!queued) finish(Fail(queued.error()));
}

}  // namespace

void ServiceKey::Sign(Bytes statement, const Done& done) {
  const Key* key = keys_.Find(policy::kServiceKeyName);
  if (key != nullptr) {
    if (const Result<VersionPtr> active = key->active->Get()) {
      return SignWith(*active, std::move(statement), post_, done);
    }
  }
  const auto sign = [statement = std::move(statement), post = post_,
                     done](const Result<VersionPtr>& made) {
    if (!made) return done(Fail(made.error()));
    SignWith(*made, statement, post, done);
  };
  if (key == nullptr || key->IsDestroyed()) {
    keys_.Generate(RecordOf(custodian_), kDaemonItself, sign);
  } else {
    keys_.Rotate(std::string(policy::kServiceKeyName), kDaemonItself, sign);
  }
}

}  // namespace keyward
