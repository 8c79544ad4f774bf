#include "keyd/backup/content.h"

#include "keyd/backup/manifest.h"
#include "tests/fakes/fake_custodian.h"
#include "tests/unit/keyd/backup/backup_fixture.h"

namespace keyward::backup {
namespace {

using enum VersionState;
using testing_support::FailsWith;
using testing_support::SampleBackup;

SampleBackup Sample() {
  SampleBackup sample;
  sample.AddSealed("frontend", 10, {kRevoked, kRetiring, kActive}).AddModule("web", "frontend");
  return sample;
}

TEST(ContentTest, WhatIsWrittenIsRead) {
  SampleBackup sample = Sample();
  VersionRecord& retiring = sample.manifest().state.versions[1];
  retiring.retire_at = WallTime(std::chrono::milliseconds(8));
  retiring.uses = 7;
  VersionRecord& revoked = sample.manifest().state.versions[0];
  revoked.revoked = WallTime(std::chrono::milliseconds(9));
  const Revocation peers{.fingerprint = {1, 2}, .name = "far", .version = 0, .at = {}};
  sample.manifest().state.revocations = {{peers, {}}, {peers, Bytes(32, 3)}};
  ASSERT_OK_AND_ASSIGN(const Content content, sample.Content());
  EXPECT_EQ(content.manifest.state.versions[1].retire_at, retiring.retire_at);
  EXPECT_EQ(content.manifest.state.versions[1].uses, 7U);
  EXPECT_EQ(content.manifest.state.versions[0].revoked, revoked.revoked);
  ASSERT_EQ(content.manifest.state.revocations.size(), 2U);
  EXPECT_EQ(content.manifest.state.revocations[0].revocation, peers);
  EXPECT_EQ(content.manifest.state.revocations[1].issuer, Bytes(32, 3));
  EXPECT_EQ(content.manifest.state.versions[2].activated, std::nullopt);
  EXPECT_EQ(EncodeManifest(content.manifest).value(), EncodeManifest(sample.manifest()).value());
  EXPECT_EQ(content.digest, sample.digest());
  ASSERT_EQ(content.secrets.size(), 2U);
  for (const auto& [id, secret] : sample.secrets()) {
    EXPECT_TRUE(content.secrets.at(id).Equals(secret.RevealSecret()));
  }
}

TEST(ContentTest, EveryFlippedBitIsFound) {
  SampleBackup sample = Sample();
  ASSERT_OK_AND_ASSIGN(Bytes bytes, sample.Write());
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
    EXPECT_FALSE(SampleBackup::Read(bytes)) << "bit " << bit;
    bytes[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
  }
  EXPECT_OK(SampleBackup::Read(bytes));
}

TEST(ContentTest, WhatIsCutShortOrHasMoreIsRefused) {
  SampleBackup sample = Sample();
  ASSERT_OK_AND_ASSIGN(Bytes bytes, sample.Write());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(SampleBackup::Read(ByteView(bytes).first(size))) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(SampleBackup::Read(bytes));
}

TEST(ContentTest, ItDoesNotMoveToAnotherEnvelope) {
  SampleBackup sample = Sample();
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, sample.Write());
  EXPECT_THAT(SampleBackup::Read(bytes, HeaderDigest{6}), FailsWith(ErrorCode::kDataCorrupt));
}

TEST(ContentTest, ANewerFormatIsSaidToBeOne) {
  SampleBackup sample = Sample();
  ASSERT_OK_AND_ASSIGN(Bytes bytes, sample.Write());
  bytes[4] = 2;
  const Result<Content> read = SampleBackup::Read(bytes);
  ASSERT_THAT(read, FailsWith(ErrorCode::kNotSupported));
  EXPECT_THAT(read.error().message(), ::testing::HasSubstr("newer Keyward"));
}

TEST(ContentTest, ItsOriginIsKnownByTheServicesKeyAlone) {
  SampleBackup sample = Sample();
  ASSERT_OK_AND_ASSIGN(const Content content, sample.Content());
  ASSERT_OK_AND_ASSIGN(const BackupDigest own, OriginOf(content.digest, sample.backup_key()));
  ASSERT_OK_AND_ASSIGN(const BackupDigest other, OriginOf(content.digest, SampleBackup::Seed(1)));
  EXPECT_EQ(content.origin, own);
  EXPECT_NE(content.origin, other);
  EXPECT_THAT(OriginOf(content.digest, SecretBytes()), FailsWith(ErrorCode::kInternal));
}

TEST(ContentTest, ASignatureHoldsOrTheBackupDoesNot) {
  fakes::FakeHardware hardware;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Custodian> custodian, hardware.Make());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, KeyId{1}));
  SampleBackup sample = Sample();
  const auto signature = [&](const BackupDigest& digest) {
    return custodian->signer().Sign(key.reference, StatementOf(digest)).value();
  };
  ASSERT_OK_AND_ASSIGN(const Bytes good, sample.Write([&](const BackupDigest& digest) {
    return Seal{key.public_key.spki(), signature(digest)};
  }));
  ASSERT_OK_AND_ASSIGN(const Content content, SampleBackup::Read(good));
  EXPECT_EQ(content.seal.signer, key.public_key.spki());
  ASSERT_OK_AND_ASSIGN(const Bytes other, sample.Write([&](const BackupDigest&) {
    return Seal{key.public_key.spki(), signature(BackupDigest{})};
  }));
  EXPECT_THAT(SampleBackup::Read(other), FailsWith(ErrorCode::kMalformed));
  ASSERT_OK_AND_ASSIGN(const Bytes nobody, sample.Write([&](const BackupDigest& digest) {
    return Seal{{}, signature(digest)};
  }));
  EXPECT_THAT(SampleBackup::Read(nobody), FailsWith(ErrorCode::kMalformed));
}

// Whoever has the certificate can write any of these, with a MAC that holds.
class ForeignManifestTest : public ::testing::Test {
 protected:
  Result<backup::Content> Read() { return sample_.Content(); }
  StoredState& state() { return sample_.manifest().state; }

  SampleBackup sample_ = Sample();
};

TEST_F(ForeignManifestTest, NamesAreNames) {
  state().peers[0].name = "../etc/passwd";
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(CheckReadable(sample_.manifest()), FailsWith(ErrorCode::kInternal));
}

TEST_F(ForeignManifestTest, AKeyIsThereOnce) {
  state().keys.push_back(state().keys[0]);
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, AVersionBelongsToAKey) {
  state().versions[0].key = "nobody";
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, OneVersionIsActive) {
  state().versions[1].state = kActive;
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, OneVersionWaits) {
  state().versions[0].state = kPending;
  EXPECT_OK(Read());
  state().versions[1].state = kPending;
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, ADestroyedVersionMayBeOfAnotherKindAndHasNoReference) {
  state().keys[0].algorithm = Algorithm::kEcdsaP256;
  state().keys[0].custody = Custody::kHardware;
  for (VersionRecord& version : state().versions) version.state = kDestroyed;
  EXPECT_OK(Read());
  state().versions[0].reference = {1};
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, NumbersAreBelowTheNextOneAndDiffer) {
  const uint32_t next = state().keys[0].next_version;
  for (const uint32_t number : {0U, next, state().versions[1].number}) {
    state().versions[0].number = number;
    EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed)) << number;
  }
}

TEST_F(ForeignManifestTest, AnIdIsOfOneVersion) {
  state().versions[0].id = state().versions[1].id;
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, APublicKeyIsOneOfTheKeysAlgorithm) {
  state().keys[0].algorithm = Algorithm::kEcdsaP256;
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
  state().keys[0].algorithm = Algorithm::kEd25519;
  state().versions[0].spki[20] ^= 1U;
  state().versions[0].spki.pop_back();
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, ASealedVersionHasNoReference) {
  state().versions[0].reference = {1};
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, ADerivedKeyIsEd25519AndHasNoCustodianAndNoReference) {
  sample_.AddDerived("telemetry", 60, {VersionState::kActive});
  KeyRecord& key = state().keys.back();
  ASSERT_OK_AND_ASSIGN(const backup::Content content, Read());
  EXPECT_EQ(content.manifest.state.keys.back().custody, Custody::kDerived);
  EXPECT_EQ(content.manifest.state.keys.back().custodian, "");
  key.custodian = "hsm";
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
  key.custodian.clear();
  key.custody = Custody::kSealed;
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
  key.custody = Custody::kDerived;
  key.algorithm = Algorithm::kEcdsaP256;
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
  key.algorithm = Algorithm::kEd25519;
  state().versions.back().reference = Bytes(32, 1);  // a salt
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, AModulesIdentityIsAKey) {
  state().modules[0].key = "nobody";
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

TEST_F(ForeignManifestTest, CustodiansAreKnown) {
  sample_.manifest().master = "disk";
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
  sample_.manifest().master = "tpm";
  state().keys[0].custodian = "cloud";
  EXPECT_THAT(Read(), FailsWith(ErrorCode::kMalformed));
}

}  // namespace
}  // namespace keyward::backup
