#include <openssl/sha.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>

#include <array>
#include <fstream>
#include <memory>

#include "api/keyward.h"
#include "bench/measure.h"
#include "bench/workloads.h"

namespace keyward::bench {
namespace {

Bytes CertificateVerify() {
  Bytes payload(64, 0x20);
  Append(payload, AsBytes("TLS 1.3, server CertificateVerify"));
  payload.push_back(0);
  payload.insert(payload.end(), 32, 0x5a);
  return payload;
}

Result<void> Check(CK_RV value, const char* function) {
  if (value == CKR_OK) return {};
  return Fail(Error(ErrorCode::kCustodianUnavailable, function).WithCause(std::to_string(value)));
}

class ModuleSession {
 public:
  static Result<std::unique_ptr<ModuleSession>> Open(const TokenKey& token) {
    CK_FUNCTION_LIST* functions = p11_kit_module_load(token.module.c_str(), 0);
    if (functions == nullptr) return Fail(ErrorCode::kNotFound, token.module);
    std::unique_ptr<ModuleSession> session(new ModuleSession(functions));
    KEYWARD_TRY(Check(p11_kit_module_initialize(functions), "C_Initialize"));
    KEYWARD_TRY(session->Login(token));
    KEYWARD_TRY(session->FindKey());
    return session;
  }
  ~ModuleSession() {
    p11_kit_module_finalize(functions_);
    p11_kit_module_release(functions_);
  }
  ModuleSession(const ModuleSession&) = delete;
  ModuleSession& operator=(const ModuleSession&) = delete;

  Result<void> Sign(ByteView message) {
    std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
    SHA256(message.data(), message.size(), digest.data());
    CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
    std::array<uint8_t, 64> signature{};
    CK_ULONG size = signature.size();
    KEYWARD_TRY(Check(functions_->C_SignInit(session_, &mechanism, key_), "C_SignInit"));
    return Check(
        functions_->C_Sign(session_, digest.data(), digest.size(), signature.data(), &size),
        "C_Sign");
  }

 private:
  explicit ModuleSession(CK_FUNCTION_LIST* functions) : functions_(functions) {}

  Result<void> Login(const TokenKey& token) {
    std::array<CK_SLOT_ID, 16> slots{};
    CK_ULONG count = slots.size();
    KEYWARD_TRY(Check(functions_->C_GetSlotList(CK_TRUE, slots.data(), &count), "C_GetSlotList"));
    std::string padded = token.label;
    padded.resize(32, ' ');
    for (CK_ULONG i = 0; i < count; ++i) {
      CK_TOKEN_INFO info{};
      KEYWARD_TRY(Check(functions_->C_GetTokenInfo(slots.at(i), &info), "C_GetTokenInfo"));
      if (AsText({info.label, sizeof(info.label)}) != padded) continue;
      KEYWARD_TRY(Check(
          functions_->C_OpenSession(slots.at(i), CKF_SERIAL_SESSION, nullptr, nullptr, &session_),
          "C_OpenSession"));
      // The throw-away PIN of a throw-away token.
      std::array<uint8_t, 64> pin{};
      std::ifstream file(token.pin_file, std::ios::binary);
      file.read(reinterpret_cast<char*>(pin.data()), pin.size());
      return Check(
          functions_->C_Login(session_, CKU_USER, pin.data(), static_cast<CK_ULONG>(file.gcount())),
          "C_Login");
    }
    return Fail(ErrorCode::kNotFound, "no such token");
  }

  Result<void> FindKey() {
    CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_EC;
    std::array<CK_ATTRIBUTE, 2> wanted{
        {{CKA_CLASS, &object_class, sizeof(object_class)}, {CKA_KEY_TYPE, &type, sizeof(type)}}};
    CK_ULONG found = 0;
    KEYWARD_TRY(Check(functions_->C_FindObjectsInit(session_, wanted.data(), wanted.size()),
                      "C_FindObjectsInit"));
    KEYWARD_TRY(Check(functions_->C_FindObjects(session_, &key_, 1, &found), "C_FindObjects"));
    KEYWARD_TRY(Check(functions_->C_FindObjectsFinal(session_), "C_FindObjectsFinal"));
    if (found == 0) return Fail(ErrorCode::kNotFound, "the token has no EC key");
    return {};
  }

  CK_FUNCTION_LIST* functions_;
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE key_ = 0;
};

}  // namespace

Result<double> SignOverChannel(const std::string& name) {
  KEYWARD_ASSIGN(Client client, Client::Connect());
  KEYWARD_ASSIGN(Key key, client.OpenKey(name));
  const Bytes payload = CertificateVerify();
  return MeasureRate([&]() -> Result<void> {
    KEYWARD_TRY(key.SignHandshake(Purpose::kTls13Server, payload));
    return {};
  });
}

Result<double> SignWithModule(const TokenKey& token) {
  KEYWARD_ASSIGN(const std::unique_ptr<ModuleSession> session, ModuleSession::Open(token));
  const Bytes payload = CertificateVerify();
  return MeasureRate([&] { return session->Sign(payload); });
}

}  // namespace keyward::bench
