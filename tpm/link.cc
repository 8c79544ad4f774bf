#include "tpm/link.h"

#include <algorithm>

#include "tpm/leaked_objects.h"
#include "tpm/name_pin.h"
#include "tpm/sensitive.h"
#include "tpm/templates.h"
#include "tpm/wipe.h"

namespace keyward::tpm {
namespace {

using Protect = EsysSession::Protect;

Error NotOurs(const Outcome& outcome) {
  return outcome.As(ErrorCode::kAuthenticationFailed,
                    "the TPM refuses the blob: it was changed, or made by another TPM");
}

}  // namespace

Link::Link(std::unique_ptr<Connection> connection, Primary primary, EsysSession session,
           TpmFacts facts)
    : connection_(std::move(connection)),
      primary_(std::move(primary.handle)),
      session_(std::move(session)),
      facts_(std::move(facts)) {}

Link::~Link() {
  if (!connection_->lost()) return;
  primary_.Abandon();
  session_.Abandon();
  loaded_.ForEach([](EsysHandle& handle) { handle.Abandon(); });
}

Result<std::unique_ptr<Link>> Link::Connect(const std::string& tcti,
                                            const std::filesystem::path& state_directory) {
  KEYWARD_ASSIGN(std::unique_ptr<Connection> connection, Connection::Open(tcti));
  if (connection->direct()) KEYWARD_TRY(FlushLeakedObjects(*connection));
  KEYWARD_ASSIGN(TpmFacts facts, ReadFacts(*connection));
  KEYWARD_ASSIGN(Primary primary, CreateStoragePrimary(*connection));
  const auto endorsement = [&] { return ReadEndorsementName(*connection); };
  KEYWARD_TRY(CheckOrPinName(state_directory, primary.name, endorsement));
  KEYWARD_ASSIGN(EsysSession session, EsysSession::Start(*connection, primary.handle.get()));
  return std::unique_ptr<Link>(
      new Link(std::move(connection), std::move(primary), std::move(session), std::move(facts)));
}

Result<WrappedObject> Link::Create(const TPM2B_SENSITIVE_CREATE& sensitive,
                                   const TPM2B_PUBLIC& area) {
  const TPM2B_DATA no_outside_info{};
  const TPML_PCR_SELECTION no_pcrs{};
  EsysPtr<TPM2B_PRIVATE> wrapped;
  EsysPtr<TPM2B_PUBLIC> made;
  loaded_.MakeRoom();  // the TPM makes an object in a slot of its own, though it does not stay
  KEYWARD_ASSIGN(const ESYS_TR session, session_.For(Protect::kBoth));
  const Outcome outcome = connection_->RunInSession("TPM2_Create", [&] {
    return Esys_Create(connection_->get(), primary_.get(), session, ESYS_TR_NONE, ESYS_TR_NONE,
                       &sensitive, &area, &no_outside_info, &no_pcrs, EsysOut(wrapped),
                       EsysOut(made), nullptr, nullptr, nullptr);
  });
  WipeEsapiStack();
  KEYWARD_TRY(outcome.Check());
  if (!IsMadeFrom(made->publicArea, area)) {
    return Fail(ErrorCode::kAuthenticationFailed,
                "the TPM made another object than it was asked for");
  }
  return WrappedObject{*made, *wrapped};
}

std::optional<ESYS_TR> Link::FindLoaded(const Digest& key) {
  const EsysHandle* handle = loaded_.Find(key);
  if (handle == nullptr) return std::nullopt;
  return handle->get();
}

Result<ESYS_TR> Link::Load(const Digest& key, const WrappedObject& object, ByteView auth) {
  ESYS_TR raw = ESYS_TR_NONE;
  loaded_.MakeRoom();
  KEYWARD_ASSIGN(const ESYS_TR session, session_.For(Protect::kBoth));
  const Outcome loaded = connection_->RunInSession("TPM2_Load", [&] {
    return Esys_Load(connection_->get(), primary_.get(), session, ESYS_TR_NONE, ESYS_TR_NONE,
                     &object.private_area, &object.public_area, &raw);
  });
  if (loaded.fault() == Fault::kRejected) return Fail(NotOurs(loaded));
  KEYWARD_TRY(loaded.Check());
  EsysHandle handle(connection_->get(), raw, EsysHandle::Ending::kFlush);
  const Wiped<TPM2B_AUTH> value = AuthValue(auth);
  KEYWARD_TRY(
      Outcome(Esys_TR_SetAuth(connection_->get(), raw, &*value), "Esys_TR_SetAuth").Check());
  return loaded_.Put(key, std::move(handle)).get();
}

Result<SecretBytes> Link::Unseal(ESYS_TR object) {
  EsysPtr<TPM2B_SENSITIVE_DATA> data;
  KEYWARD_ASSIGN(const ESYS_TR session, session_.For(Protect::kResponse));
  const Outcome outcome = connection_->Run("TPM2_Unseal", [&] {
    return Esys_Unseal(connection_->get(), object, session, ESYS_TR_NONE, ESYS_TR_NONE,
                       EsysOut(data));
  });
  KEYWARD_TRY(outcome.Check());
  Result<SecretBytes> secret = SecretBytes::TakeFrom({data->buffer, data->size});
  KEYWARD_TRY(WipeResponse(connection_->get()));
  return secret;
}

Result<EsysPtr<TPMT_SIGNATURE>> Link::Sign(ESYS_TR key, ByteView digest) {
  TPM2B_DIGEST to_sign{};
  to_sign.size = static_cast<uint16_t>(digest.size());
  std::ranges::copy(digest, to_sign.buffer);
  TPMT_SIG_SCHEME scheme_of_key{};
  scheme_of_key.scheme = TPM2_ALG_NULL;
  TPMT_TK_HASHCHECK not_hashed_here{};  // our keys are not restricted: any digest will do
  not_hashed_here.tag = TPM2_ST_HASHCHECK;
  not_hashed_here.hierarchy = TPM2_RH_NULL;
  EsysPtr<TPMT_SIGNATURE> signature;
  KEYWARD_ASSIGN(const ESYS_TR session, session_.For(Protect::kNothing));
  const Outcome outcome = connection_->Run("TPM2_Sign", [&] {
    return Esys_Sign(connection_->get(), key, session, ESYS_TR_NONE, ESYS_TR_NONE, &to_sign,
                     &scheme_of_key, &not_hashed_here, EsysOut(signature));
  });
  KEYWARD_TRY(outcome.Check());
  return signature;
}

Result<void> Link::ProveAlive() {
  constexpr uint16_t kBytes = 8;
  EsysPtr<TPM2B_DIGEST> random;
  KEYWARD_ASSIGN(const ESYS_TR session, session_.For(Protect::kResponse));
  return connection_
      ->RunInSession("TPM2_GetRandom",
                     [&] {
                       return Esys_GetRandom(connection_->get(), session, ESYS_TR_NONE,
                                             ESYS_TR_NONE, kBytes, EsysOut(random));
                     })
      .Check();
}

}  // namespace keyward::tpm
