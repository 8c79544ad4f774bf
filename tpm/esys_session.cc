#include "tpm/esys_session.h"

namespace keyward::tpm {
namespace {

TPMA_SESSION AttributesOf(EsysSession::Encrypt encrypt) {
  switch (encrypt) {
    case EsysSession::Encrypt::kRequest:
      return TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT;  // named from the TPM's side
    case EsysSession::Encrypt::kResponse:
      return TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_ENCRYPT;
    case EsysSession::Encrypt::kBoth:
      return TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
    case EsysSession::Encrypt::kNothing:
      break;
  }
  return TPMA_SESSION_CONTINUESESSION;
}

}  // namespace

Result<EsysSession> EsysSession::Start(Connection& connection, ESYS_TR salt_key) {
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  ESYS_TR session = ESYS_TR_NONE;
  const Outcome outcome = connection.Run("TPM2_StartAuthSession", [&] {
    return Esys_StartAuthSession(connection.get(), salt_key, ESYS_TR_NONE, ESYS_TR_NONE,
                                 ESYS_TR_NONE, ESYS_TR_NONE, nullptr, TPM2_SE_HMAC, &symmetric,
                                 TPM2_ALG_SHA256, &session);
  });
  KEYWARD_TRY(outcome.Check());
  return EsysSession(connection, EsysHandle(connection.get(), session, EsysHandle::Ending::kFlush));
}

Result<ESYS_TR> EsysSession::For(Encrypt encrypt) {
  constexpr TPMA_SESSION kAll = 0xff;
  const TSS2_RC rc =
      Esys_TRSess_SetAttributes(connection_->get(), handle_.get(), AttributesOf(encrypt), kAll);
  KEYWARD_TRY(Outcome(rc, "Esys_TRSess_SetAttributes").Check());
  return handle_.get();
}

}  // namespace keyward::tpm
