#include "keyd/derived_key.h"

#include <numeric>

#include "core/encoding.h"
#include "keyd/ed25519_seed.h"
#include "keyd/master_key.h"
#include "tests/unit/keyd/key_ring_fixture.h"

namespace keyward {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing_support::FailsWith;

Bytes Counting(uint8_t first) {
  Bytes bytes(32);
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

// From Python's hashlib. `key` is the subkey that master_key_test.cc has; then
// blake2b(b"keyward transport key 1" + bytes([9]) + b"telemetry" + (7).to_bytes(4, "big") +
// bytes(range(100, 132)), key=key, digest_size=32). The public half is of Python's cryptography.
TEST(DeriveSeedTest, IsTheDocumentedKdf) {
  ASSERT_OK_AND_ASSIGN(const MasterKey master,
                       MasterKey::FromBytes(SecretBytes::CopyOf(Counting(0)).value()));
  ASSERT_OK_AND_ASSIGN(const SecretBytes key, master.Derive(Subkey::kTransport));
  ASSERT_OK_AND_ASSIGN(const SecretBytes seed, DeriveSeed(key, "telemetry", 7, Counting(100)));
  EXPECT_EQ(ToHex(seed.RevealSecret()),
            "fd63912bd80c7f516ff61a3a7e0ee2e1ddcf18c35a5b74165f8697d8fad5dd97");
  ASSERT_OK_AND_ASSIGN(const Ed25519Pair pair, PairOfSeed(seed));
  ASSERT_OK_AND_ASSIGN(const Bytes public_half,
                       FromHex("9bf715bad9b45eedc6d485596de83c5168b106ff175acca4680577d6194e1a26"));
  EXPECT_EQ(pair.public_key, PublicKey::FromEd25519(public_half).value());
}

TEST(DeriveSeedTest, EachInputMakesAnotherSeed) {
  const auto seed = [](uint8_t key, const char* name, uint32_t version, uint8_t salt) {
    const SecretBytes subkey = SecretBytes::CopyOf(Counting(key)).value();
    return ToHex(DeriveSeed(subkey, name, version, Counting(salt)).value().RevealSecret());
  };
  const std::set<std::string> seeds = {seed(1, "web", 1, 5), seed(2, "web", 1, 5),
                                       seed(1, "wev", 1, 5), seed(1, "web", 2, 5),
                                       seed(1, "web", 1, 6), seed(1, "web2", 1, 5)};
  EXPECT_THAT(seeds, SizeIs(6));
}

TEST(DeriveSeedTest, TakesNoSaltOfAnotherSizeAndNoKeyOfAnother) {
  const SecretBytes key = SecretBytes::CopyOf(Counting(0)).value();
  EXPECT_THAT(DeriveSeed(key, "web", 1, Bytes()), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(DeriveSeed(key, "web", 1, Bytes(33)), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(DeriveSeed(SecretBytes(), "web", 1, Bytes(32)), FailsWith(ErrorCode::kInternal));
}

// What is true of every custody has key_ring_test.cc.
class DerivedKeyTest : public KeyRingFixture {
 protected:
  VersionPtr Version(size_t at = 0) { return ring_->Find("web")->versions.at(at); }
};

TEST_F(DerivedKeyTest, StaysTheSameThroughARestartAndTheStoreHasNoMoreThanASalt) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr made, Generate(Derived("web")));
  const PublicKey before = made->public_key();
  Restart();
  EXPECT_EQ(Version()->public_key(), before);
  EXPECT_OK(SignAndVerify(Version()));
  ASSERT_THAT(Stored().versions, SizeIs(1));
  const Bytes salt = Stored().versions[0].reference;
  EXPECT_THAT(salt, SizeIs(kDerivationSalt));
  ASSERT_OK_AND_ASSIGN(const SecretBytes seed, DeriveSeed(*transport_key_, "web", 1, salt));
  EXPECT_EQ(PairOfSeed(seed).value().public_key, before);
}

TEST_F(DerivedKeyTest, IsMadeUsedAndEndedWhileNoHardwareAnswers) {
  hardware_.SetAvailable(false);
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Derived("web")));
  EXPECT_OK(SignAndVerify(first));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Rotate("web"));
  EXPECT_OK(SignAndVerify(first));  // in its grace period, wiped and derived once more
  EXPECT_OK(SignAndVerify(second));
  EXPECT_OK(Destroy("web"));
  EXPECT_TRUE(ring_->Find("web")->IsDestroyed());
}

TEST_F(DerivedKeyTest, SignsAtOnceOnTheCallingThread) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Derived("web")));
  bool signed_at_once = false;
  ASSERT_OK(version->WithSigner(kCaller, [&](const Result<SignFunction>& sign) {
    signed_at_once = sign && (*sign)(Bytes(3)).has_value();
  }));
  EXPECT_TRUE(signed_at_once);
}

TEST_F(DerivedKeyTest, OneMadeAgainUnderItsNameIsAnother) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, Generate(Derived("web")));
  ASSERT_OK(Destroy("web"));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Generate(Derived("web")));
  EXPECT_EQ(second->number(), 2U);
  EXPECT_NE(first->public_key(), second->public_key());
}

TEST_F(DerivedKeyTest, NeedsNoCustodianToBeConfiguredAndAddsNone) {
  ASSERT_OK(Generate(Derived("web")));
  FinishTasks();
  const std::unique_ptr<CustodianPool> configured = std::move(pools_.at("hsm"));
  pools_.clear();
  Reopen();
  EXPECT_TRUE(pools_.empty());
  EXPECT_OK(SignAndVerify(Version()));
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, Rotate("web"));
  EXPECT_OK(SignAndVerify(second));
  owned_ring_.reset();
  configured->Stop();
  pools_["hsm"] = std::make_unique<CustodianPool>("hsm", clock_);  // for the fixture's end
}

TEST_F(DerivedKeyTest, IsEd25519AndHasNoCustodian) {
  KeyRecord key = Derived("web");
  key.algorithm = Algorithm::kEcdsaP256;
  const Result<VersionPtr> other = Generate(key);
  ASSERT_THAT(other, FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(other.error().message(), HasSubstr("'derived' is for ed25519"));
  key = Derived("web");
  key.custodian = "hsm";
  EXPECT_THAT(Generate(key), FailsWith(ErrorCode::kInvalidArgument));
  EXPECT_THAT(Stored().keys, SizeIs(0));
}

// A seed that comes out wrong, as of another master key, signs nothing.
TEST_F(DerivedKeyTest, ASaltThatIsNotItsOwnIsRefused) {
  ASSERT_OK(Generate(Derived("web")));
  ASSERT_OK(Generate(Derived("other")));
  std::vector<VersionRecord> versions = Stored().versions;
  ASSERT_THAT(versions, SizeIs(2));
  std::swap(versions[0].reference, versions[1].reference);
  for (const VersionRecord& version : versions) {
    ASSERT_OK(stored_.Commit([&](StoreWriter& store) { return store.RecordMade(version); }));
  }
  stored_.Sync();
  Restart();
  EXPECT_THAT(SignAndVerify(Version()), FailsWith(ErrorCode::kDataCorrupt));
}

TEST_F(DerivedKeyTest, NothingIsDerivedOnceTheServiceIsSealed) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr used, Generate(Derived("web")));
  ASSERT_OK(SignAndVerify(used));
  ASSERT_OK_AND_ASSIGN(const VersionPtr unused, Generate(Derived("other")));
  ring_->Seal();
  EXPECT_THAT(SignAndVerify(used), FailsWith(ErrorCode::kSealed));
  EXPECT_THAT(SignAndVerify(unused), FailsWith(ErrorCode::kSealed));
}

TEST_F(DerivedKeyTest, AVersionDoesNotKeepTheSubkeyAlive) {
  ASSERT_OK_AND_ASSIGN(const VersionPtr version, Generate(Derived("web")));
  auto key = std::make_shared<const SecretBytes>(transport_key_->Clone().value());
  const auto other = std::make_shared<KeyVersion>(version->key(), Stored().versions[0],
                                                  version->public_key(), std::weak_ptr(key));
  EXPECT_OK(SignAndVerify(other));
  const auto late = std::make_shared<KeyVersion>(version->key(), Stored().versions[0],
                                                 version->public_key(), std::weak_ptr(key));
  key.reset();
  EXPECT_THAT(SignAndVerify(late), FailsWith(ErrorCode::kSealed));
}

}  // namespace
}  // namespace keyward
