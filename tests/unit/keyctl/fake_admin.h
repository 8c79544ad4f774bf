// A keyd that lives in a test: answers what it was told to, and remembers what it was asked.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/admin.h"
#include "core/encoding.h"

namespace keyward::testing_support {

// RFC 8032, 7.1, test 1.
inline constexpr std::string_view kSomeKeyHex =
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
inline PublicKey SomeKey() { return PublicKey::FromEd25519(FromHex(kSomeKeyHex).value()).value(); }

class FakeAdmin final : public AdminClient {
 public:
  struct State {
    std::optional<Error> error;  // for every call, when set
    ServiceStatus status;
    std::vector<KeySummary> keys;
    KeyDetails details;
    std::vector<ModuleSummary> modules;
    std::vector<SessionSummary> sessions;
    std::vector<RevocationSummary> revocations;
    std::optional<Error> revocations_error;  // for ListRevocations alone
    std::string list;
    uint32_t ended = 2;
    PcrSummary pcrs;
    std::optional<Error> pcr_error;  // for ShowPcrPolicies alone
    std::optional<SignedPcrPolicy> added;
    std::optional<Quote> quote;
    CreatedBackup backup;
    BackupCheck check;
    SealsSummary seals;
    std::optional<Error> seals_error;       // for ShowSeals alone
    std::map<uint64_t, std::string> audit;  // parts of the log, by their first record
    std::function<void()> during_read;      // of a part
    bool audit_gap = false;                 // parts were removed between two readings
    std::string followed;                   // what comes after them
    std::vector<std::string> calls;         // "RevokeKey frontend all"
  };

  explicit FakeAdmin(State& state) : state_(state) {}

  Result<ServiceStatus> Status() override { return Answer("Status", state_.status); }
  Result<std::vector<KeySummary>> ListKeys() override { return Answer("ListKeys", state_.keys); }
  Result<KeyDetails> DescribeKey(const std::string& name) override {
    return Answer("DescribeKey " + name, state_.details);
  }
  Result<PublicKey> GenerateKey(const KeyRequest& request) override {
    return Answer("GenerateKey " + request.name + " " + request.algorithm + " " + request.custody +
                      " " + request.custodian,
                  SomeKey());
  }
  Result<uint32_t> RotateKey(const std::string& name) override {
    return Answer("RotateKey " + name, uint32_t{2});
  }
  Result<uint32_t> RevokeKey(const std::string& name, std::optional<uint32_t> version) override {
    return Answer("RevokeKey " + name + " " + (version ? std::to_string(*version) : "all"),
                  state_.ended);
  }
  Result<uint32_t> PrepareKey(const std::string& name) override {
    return Answer("PrepareKey " + name, uint32_t{2});
  }
  Result<uint32_t> ActivateKey(const std::string& name) override {
    return Answer("ActivateKey " + name, uint32_t{2});
  }
  Result<void> RetireVersion(const std::string& name, uint32_t version) override {
    return Answer("RetireVersion " + name + " " + std::to_string(version));
  }
  Result<uint32_t> DestroyKey(const std::string& name, std::optional<uint32_t> version) override {
    return Answer("DestroyKey " + name + " " + (version ? std::to_string(*version) : "all"),
                  state_.ended);
  }
  Result<std::vector<ModuleSummary>> ListModules() override {
    return Answer("ListModules", state_.modules);
  }
  Result<void> EnrolModule(const std::string& module, const std::string& key) override {
    return Answer("EnrolModule " + module + " " + key);
  }
  Result<void> EnrolPeer(const std::string& peer, const PublicKey& key) override {
    return Answer("EnrolPeer " + peer + " " + ToHex(key.spki()));
  }
  Result<uint32_t> RemoveModule(const std::string& module) override {
    return Answer("RemoveModule " + module, state_.ended);
  }
  Result<uint32_t> RemovePeer(const std::string& peer) override {
    return Answer("RemovePeer " + peer, state_.ended);
  }
  Result<uint32_t> RevokeModule(const std::string& name) override {
    return Answer("RevokeModule " + name, state_.ended);
  }
  Result<std::vector<RevocationSummary>> ListRevocations() override {
    if (state_.revocations_error) return Fail(*state_.revocations_error);
    return Answer("ListRevocations", state_.revocations);
  }
  Result<ExportedRevocations> ExportRevocations() override {
    return Answer("ExportRevocations", ExportedRevocations{state_.list, SomeKey()});
  }
  Result<ImportedRevocations> ImportRevocations(std::string_view list,
                                                const PublicKey& signer) override {
    return Answer("ImportRevocations " + std::string(list) + ToHex(signer.spki()),
                  ImportedRevocations{3, state_.ended});
  }
  Result<std::vector<SessionSummary>> ListSessions() override {
    return Answer("ListSessions", state_.sessions);
  }
  Result<uint32_t> EndSession(const std::string& id) override {
    return Answer("EndSession " + id, state_.ended);
  }
  Result<uint32_t> EndSessionsOf(const std::string& module) override {
    return Answer("EndSessionsOf " + module, state_.ended);
  }
  Result<uint32_t> EndAllSessions() override { return Answer("EndAllSessions", state_.ended); }
  Result<void> ReloadPolicy() override { return Answer("ReloadPolicy"); }
  Result<uint32_t> Seal() override { return Answer("Seal", state_.ended); }
  Result<PcrSummary> ShowPcrPolicies(const PcrSelection& also) override {
    if (state_.pcr_error) return Fail(*state_.pcr_error);
    return Answer("ShowPcrPolicies " + std::to_string(ToBits(also)), state_.pcrs);
  }
  Result<void> AddPcrPolicy(const SignedPcrPolicy& policy) override {
    state_.added = policy;
    return Answer("AddPcrPolicy " + std::to_string(ToBits(policy.pcrs)));
  }
  Result<Quote> Attest(const Bytes& nonce) override {
    KEYWARD_TRY(Answer("Attest " + ToHex(nonce)));
    if (!state_.quote) return Fail(ErrorCode::kNotSupported, "there is no TPM");
    return *state_.quote;
  }
  Result<CreatedBackup> CreateBackup(const std::string& certificates) override {
    return Answer("CreateBackup " + certificates, state_.backup);
  }
  Result<BackupCheck> CheckBackup(const Bytes& digest, const Bytes& origin) override {
    return Answer("CheckBackup " + ToHex(digest) + " " + ToHex(origin), state_.check);
  }
  Result<void> MakeSecondSeal(const std::string& place, const Bytes& material) override {
    return Answer("MakeSecondSeal " + place + " " + ToHex(material));
  }
  Result<SealsSummary> ShowSeals() override {
    if (state_.seals_error) return Fail(*state_.seals_error);
    return Answer("ShowSeals", state_.seals);
  }
  Result<void> ForgetSecondSeal(bool lost) override {
    return Answer(std::string("ForgetSecondSeal") + (lost ? " lost" : ""));
  }
  Result<uint32_t> ZeroizeAll() override { return Answer("ZeroizeAll", state_.ended); }
  Result<void> Unseal() override { return Answer("Unseal"); }
  // Parts of the log, one after the other; the records of a part begin with its key.
  Result<AuditPart> ReadAudit(uint64_t record) override {
    if (state_.during_read) state_.during_read();
    KEYWARD_TRY(Answer("ReadAudit " + std::to_string(record)));
    if (state_.audit.empty()) return Fail(ErrorCode::kSealed, "there is no audit log");
    auto part = state_.audit.upper_bound(record);
    if (part != state_.audit.begin()) --part;
    const auto next = std::next(part);
    return AuditPart{.file = FileOf(part->second),
                     .first = part->first + (state_.audit_gap && record > 0 ? 1 : 0),
                     .size = part->second.size(),
                     .next = next == state_.audit.end() ? 0 : next->first};
  }
  Result<AuditFollowing> FollowAudit() override {
    KEYWARD_TRY(Answer("FollowAudit"));
    return AuditFollowing{FileOf(state_.followed), state_.status.audit.last + 1};
  }
  Result<void> SignAudit() override { return Answer("SignAudit"); }

 private:
  static UniqueFd FileOf(const std::string& text) {
    UniqueFd file(memfd_create("audit", MFD_CLOEXEC));
    EXPECT_EQ(write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(lseek(file.get(), 0, SEEK_SET), 0);
    return file;
  }
  Result<void> Answer(std::string call) {
    state_.calls.push_back(std::move(call));
    if (state_.error) return Fail(*state_.error);
    return {};
  }
  template <class T>
  Result<T> Answer(std::string call, const T& value) {
    KEYWARD_TRY(Answer(std::move(call)));
    return value;
  }

  State& state_;
};

}  // namespace keyward::testing_support
