#include "tpm/esys_session.h"

namespace keyward::tpm {
namespace {

TPMA_SESSION AttributesOf(EsysSession::Protect protect) {
  switch (protect) {
    case EsysSession::Protect::kRequest:
      return TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT;  // named from the TPM's side
    case EsysSession::Protect::kResponse:
      return TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_ENCRYPT;
    case EsysSession::Protect::kBoth:
      return TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
    case EsysSession::Protect::kAudit:
      return TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_AUDIT;
    case EsysSession::Protect::kNothing:
      break;
  }
  return TPMA_SESSION_CONTINUESESSION;
}

}  // namespace

Result<EsysSession> EsysSession::Start(Connection& connection, ESYS_TR salt_key, TPM2_SE type) {
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  ESYS_TR session = ESYS_TR_NONE;
  const Outcome outcome = connection.Run("TPM2_StartAuthSession", [&] {
    return Esys_StartAuthSession(connection.get(), salt_key, ESYS_TR_NONE, ESYS_TR_NONE,
                                 ESYS_TR_NONE, ESYS_TR_NONE, nullptr, type, &symmetric,
                                 TPM2_ALG_SHA256, &session);
  });
  KEYWARD_TRY(outcome.Check());
  return EsysSession(connection, EsysHandle(connection.get(), session, EsysHandle::Ending::kFlush));
}

Result<ESYS_TR> EsysSession::For(Protect protect) {
  constexpr TPMA_SESSION kAll = 0xff;
  const TSS2_RC rc =
      Esys_TRSess_SetAttributes(connection_->get(), handle_.get(), AttributesOf(protect), kAll);
  KEYWARD_TRY(Outcome(rc, "Esys_TRSess_SetAttributes").Check());
  return handle_.get();
}

}  // namespace keyward::tpm
