#include "hsm/session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "hsm/return_value.h"

namespace keyward::hsm {
namespace {

constexpr size_t kMaxAttribute = 1024;
constexpr size_t kMaxSignature = 512;
constexpr CK_ULONG kMaxSlots = 256;

// PKCS#11 pads its texts with blanks and does not end them.
template <size_t kSize>
std::string Text(const unsigned char (&padded)[kSize]) {
  const std::string_view text(reinterpret_cast<const char*>(padded), kSize);
  return std::string(text.substr(0, text.find_last_not_of(' ') + 1));
}

// C interfaces take input through pointers to non-const, and some modules refuse a null pointer for
// an empty input.
unsigned char* Input(ByteView data) {
  static unsigned char nothing = 0;
  return data.empty() ? &nothing : const_cast<unsigned char*>(data.data());
}

Result<std::vector<CK_SLOT_ID>> SlotsWithToken(const HsmModule::Call& call) {
  std::vector<CK_SLOT_ID> slots(kMaxSlots);
  CK_ULONG count = kMaxSlots;
  KEYWARD_TRY(Check(call->C_GetSlotList(CK_TRUE, slots.data(), &count), "C_GetSlotList"));
  slots.resize(count);
  return slots;
}

}  // namespace

Result<CK_SLOT_ID> FindToken(HsmModule& module, const std::string& label) {
  KEYWARD_ASSIGN(const HsmModule::Call call, module.Enter());
  KEYWARD_ASSIGN(const std::vector<CK_SLOT_ID> slots, SlotsWithToken(call));
  std::optional<CK_SLOT_ID> found;
  for (const CK_SLOT_ID slot : slots) {
    CK_TOKEN_INFO info{};
    if (call->C_GetTokenInfo(slot, &info) != CKR_OK) continue;  // one that is gone is not ours
    if ((info.flags & CKF_TOKEN_INITIALIZED) == 0 || Text(info.label) != label) continue;
    if (found) {
      return Fail(ErrorCode::kConfiguration,
                  "two HSM tokens have the configured label: give them different ones");
    }
    found = slot;
  }
  if (found) return *found;
  return Fail(Error(ErrorCode::kCustodianUnavailable,
                    "no HSM token has the configured label: insert or initialise it")
                  .WithAction(Action::kProvision)
                  .WithCause("token label " + label));
}

Result<Session> Session::Open(const std::shared_ptr<HsmModule>& module, CK_SLOT_ID slot) {
  KEYWARD_ASSIGN(const HsmModule::Call call, module->Enter());
  Session session(module, slot, call.generation());
  KEYWARD_TRY(Check(call->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr,
                                        &session.handle_),
                    "C_OpenSession"));
  return session;
}

Session::Session(Session&& other) noexcept
    : module_(std::move(other.module_)),
      slot_(other.slot_),
      generation_(other.generation_),
      handle_(std::exchange(other.handle_, CK_INVALID_HANDLE)) {}

Session::~Session() {
  if (handle_ == CK_INVALID_HANDLE) return;
  // A session that cannot be closed is gone with its token or generation.
  if (const Result<HsmModule::Call> call = Enter()) {
    static_cast<void>((*call)->C_CloseSession(handle_));
  }
}

Result<HsmModule::Call> Session::Enter() const {
  KEYWARD_ASSIGN(HsmModule::Call call, module_->Enter());
  if (call.generation() != generation_) {
    return Fail(Check(CKR_SESSION_HANDLE_INVALID, "after a reload of the module").error());
  }
  return call;
}

Result<TokenState> Session::Token() const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  CK_TOKEN_INFO info{};
  KEYWARD_TRY(Check(call->C_GetTokenInfo(slot_, &info), "C_GetTokenInfo"));
  return TokenState{info.flags, Text(info.model), Text(info.serialNumber)};
}

Result<std::optional<CK_MECHANISM_INFO>> Session::Mechanism(CK_MECHANISM_TYPE type) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  CK_MECHANISM_INFO info{};
  const CK_RV value = call->C_GetMechanismInfo(slot_, type, &info);
  if (value == CKR_MECHANISM_INVALID) return std::nullopt;
  KEYWARD_TRY(Check(value, "C_GetMechanismInfo"));
  return info;
}

Result<bool> Session::LoggedIn() const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  CK_SESSION_INFO info{};
  KEYWARD_TRY(Check(call->C_GetSessionInfo(handle_, &info), "C_GetSessionInfo"));
  return info.state == CKS_RW_USER_FUNCTIONS;
}

Result<void> Session::Login(const SecretBytes& pin) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  const CK_RV value = call->C_Login(handle_, CKU_USER, Input(pin.RevealSecret()), pin.size());
  if (value == CKR_USER_ALREADY_LOGGED_IN) return {};
  return Check(value, "C_Login");
}

Result<std::vector<CK_OBJECT_HANDLE>> Session::FindObjects(ObjectTemplate wanted) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  const std::span<CK_ATTRIBUTE> attributes = wanted.attributes();
  KEYWARD_TRY(Check(call->C_FindObjectsInit(handle_, attributes.data(), attributes.size()),
                    "C_FindObjectsInit"));
  std::vector<CK_OBJECT_HANDLE> found(kMaxFound);
  CK_ULONG count = 0;
  const CK_RV value = call->C_FindObjects(handle_, found.data(), found.size(), &count);
  const CK_RV end = call->C_FindObjectsFinal(handle_);
  KEYWARD_TRY(Check(value, "C_FindObjects"));
  KEYWARD_TRY(Check(end, "C_FindObjectsFinal"));
  found.resize(count);
  return found;
}

Result<std::vector<CK_OBJECT_HANDLE>> Session::Find(ObjectTemplate wanted) const {
  KEYWARD_ASSIGN(std::vector<CK_OBJECT_HANDLE> found, FindObjects(std::move(wanted)));
  if (found.empty()) KEYWARD_TRY(Token());
  return found;
}

Result<Bytes> Session::Attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  Bytes value(kMaxAttribute);
  CK_ATTRIBUTE attribute = {type, value.data(), value.size()};
  const CK_RV result = call->C_GetAttributeValue(handle_, object, &attribute, 1);
  if (result == CKR_BUFFER_TOO_SMALL) {
    return Fail(ErrorCode::kDataCorrupt, "the HSM token holds an attribute of more than 1 KiB");
  }
  KEYWARD_TRY(Check(result, "C_GetAttributeValue"));
  value.resize(std::min<size_t>(attribute.ulValueLen, kMaxAttribute));
  return value;
}

Result<KeyPairHandles> Session::GenerateKeyPair(CK_MECHANISM_TYPE type, ObjectTemplate public_half,
                                                ObjectTemplate private_half) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  CK_MECHANISM mechanism = {type, nullptr, 0};
  KeyPairHandles pair{};
  KEYWARD_TRY(Check(call->C_GenerateKeyPair(
                        handle_, &mechanism, public_half.attributes().data(),
                        public_half.attributes().size(), private_half.attributes().data(),
                        private_half.attributes().size(), &pair.public_half, &pair.private_half),
                    "C_GenerateKeyPair"));
  return pair;
}

Result<CK_OBJECT_HANDLE> Session::GenerateKey(CK_MECHANISM_TYPE type, ObjectTemplate key) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  CK_MECHANISM mechanism = {type, nullptr, 0};
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  KEYWARD_TRY(Check(call->C_GenerateKey(handle_, &mechanism, key.attributes().data(),
                                        key.attributes().size(), &handle),
                    "C_GenerateKey"));
  return handle;
}

Result<void> Session::Create(ObjectTemplate object) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  return Check(call->C_CreateObject(handle_, object.attributes().data(), object.attributes().size(),
                                    &handle),
               "C_CreateObject");
}

Result<void> Session::Destroy(CK_OBJECT_HANDLE object) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  const CK_RV value = call->C_DestroyObject(handle_, object);
  if (value == CKR_OBJECT_HANDLE_INVALID) return {};
  return Check(value, "C_DestroyObject");
}

Result<Bytes> Session::Sign(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, ByteView data) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  CK_MECHANISM mechanism = {type, nullptr, 0};
  KEYWARD_TRY(Check(call->C_SignInit(handle_, &mechanism, key), "C_SignInit"));
  Bytes signature(kMaxSignature);
  CK_ULONG size = signature.size();
  KEYWARD_TRY(
      Check(call->C_Sign(handle_, Input(data), data.size(), signature.data(), &size), "C_Sign"));
  signature.resize(std::min<size_t>(size, kMaxSignature));
  return signature;
}

Result<size_t> Session::Encrypt(CK_MECHANISM mechanism, CK_OBJECT_HANDLE key, ByteView data,
                                MutableBytes out) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  KEYWARD_TRY(Check(call->C_EncryptInit(handle_, &mechanism, key), "C_EncryptInit"));
  CK_ULONG size = out.size();
  KEYWARD_TRY(
      Check(call->C_Encrypt(handle_, Input(data), data.size(), out.data(), &size), "C_Encrypt"));
  return std::min<size_t>(size, out.size());
}

Result<size_t> Session::Decrypt(CK_MECHANISM mechanism, CK_OBJECT_HANDLE key, ByteView data,
                                MutableBytes out) const {
  KEYWARD_ASSIGN(const HsmModule::Call call, Enter());
  KEYWARD_TRY(Check(call->C_DecryptInit(handle_, &mechanism, key), "C_DecryptInit"));
  CK_ULONG size = out.size();
  const CK_RV value = call->C_Decrypt(handle_, Input(data), data.size(), out.data(), &size);
  // SoftHSM's answer to a tag that does not match; on a token that is gone C_DecryptInit fails.
  if (value == CKR_GENERAL_ERROR)
    return Fail(Check(CKR_ENCRYPTED_DATA_INVALID, "C_Decrypt").error());
  KEYWARD_TRY(Check(value, "C_Decrypt"));
  return std::min<size_t>(size, out.size());
}

}  // namespace keyward::hsm
