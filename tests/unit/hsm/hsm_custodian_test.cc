// What is PKCS#11's own; tests/conformance holds what every custodian does.
#include <algorithm>
#include <atomic>
#include <latch>
#include <thread>

#include "hsm/session.h"
#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

using ::testing::HasSubstr;
using testing_support::IsOkAndHolds;

using HsmCustodianTest = HsmFixture;

TEST_F(HsmCustodianTest, AMissingModuleIsNamedAndTriedAgainLater) {
  HsmOptions options = Options();
  const std::filesystem::path link = token_.folder() / "module.so";
  options.module_path = link;
  HsmFactory factory(options, rng_);
  const auto missing = factory.Make();
  ASSERT_THAT(missing, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(missing.error().action(), Action::kProvision);
  EXPECT_THAT(missing.error().message(), HasSubstr("module"));
  EXPECT_THAT(missing.error().cause(), HasSubstr(link.string()));
  std::filesystem::create_symlink(SoftHsmToken::kModulePath, link);
  EXPECT_OK(factory.Make());
}

TEST_F(HsmCustodianTest, AFileThatIsNoModuleIsRefused) {
  HsmOptions options = Options();
  options.module_path = token_.pin_file();
  EXPECT_THAT(HsmFactory(options, rng_).Make(), FailsWith(ErrorCode::kCustodianUnavailable));
}

TEST_F(HsmCustodianTest, AMissingTokenIsNamedAndFoundOnceItIsThere) {
  token_.TakeAway();
  HsmFactory factory(Options(), rng_);
  const auto missing = factory.Make();
  ASSERT_THAT(missing, FailsWith(ErrorCode::kCustodianUnavailable));
  EXPECT_EQ(missing.error().action(), Action::kProvision);
  token_.BringBack();
  EXPECT_OK(factory.Make());
}

TEST_F(HsmCustodianTest, ALabelThatNoTokenCanHaveIsAConfigurationError) {
  for (const std::string& label : {std::string(), std::string(33, 'x')}) {
    HsmOptions options = Options();
    options.token_label = label;
    EXPECT_THAT(HsmFactory(options, rng_).Make(), FailsWith(ErrorCode::kConfiguration));
  }
}

TEST_F(HsmCustodianTest, SaysWhichTokenItIs) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  EXPECT_EQ(custodian->Describe(), "SoftHSM v2 token 'keyward-test'");
}

TEST_F(HsmCustodianTest, TellsWhetherItStillHasWhatItKeeps) {
  const auto custodian = MakeCustodian();
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEd25519, NewId()));
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, {}));
  ASSERT_OK(custodian->signer().Sign(key.reference, {}));  // a cache may know the key from here on
  EXPECT_THAT(custodian->HoldsKey(key.reference), IsOkAndHolds(true));
  EXPECT_THAT(custodian->HoldsKeyOf(blob), IsOkAndHolds(true));
  EXPECT_THAT(custodian->HoldsKey({1, 2, 3}), FailsWith(ErrorCode::kDataCorrupt));
  EXPECT_THAT(custodian->HoldsKeyOf({}), FailsWith(ErrorCode::kMalformed));
  token_.InitialiseAgain();
  EXPECT_THAT(custodian->HoldsKey(key.reference), IsOkAndHolds(false));
  EXPECT_THAT(custodian->HoldsKeyOf(blob), IsOkAndHolds(false));
  token_.TakeAway();
  EXPECT_THAT(custodian->HoldsKey(key.reference), FailsWith(ErrorCode::kCustodianUnavailable))
      << "it is away, which says nothing of what it has";
}

TEST_F(HsmCustodianTest, PrivateHalvesAreSensitiveAndNeverExtractable) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  const KeyId id = NewId();
  ASSERT_OK(custodian->signer().GenerateKey(Algorithm::kEd25519, id));
  ASSERT_OK(custodian->sealer().Seal(SecretBytes::Random(32, rng_).value(), {}));
  const Session session = OpenSession();
  const Bytes yes = {CK_TRUE};
  const Bytes no = {CK_FALSE};
  const auto expect_guarded = [&](ObjectTemplate wanted) {
    ASSERT_OK_AND_ASSIGN(const auto found, session.Find(std::move(wanted)));
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(session.Attribute(found[0], CKA_EXTRACTABLE).value(), no);
    for (const CK_ATTRIBUTE_TYPE type :
         {CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE}) {
      EXPECT_EQ(session.Attribute(found[0], type).value(), yes) << type;
    }
    EXPECT_FALSE(session.Attribute(found[0], CKA_VALUE).has_value());
  };
  expect_guarded(FindById(CKO_PRIVATE_KEY, id));
  ObjectTemplate any_secret_key;
  any_secret_key.AddNumber(CKA_CLASS, CKO_SECRET_KEY);
  expect_guarded(std::move(any_secret_key));
}

TEST_F(HsmCustodianTest, DestroyingAndSweepingTakeBothHalves) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  const KeyId destroyed = NewId();
  const KeyId swept = NewId();
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, destroyed));
  ASSERT_OK(custodian->signer().GenerateKey(Algorithm::kEcdsaP256, swept));
  ASSERT_OK(custodian->signer().DestroyKey(key.reference));
  ASSERT_OK(custodian->signer().DestroyUnrecorded(std::span(&swept, 1)));
  const Session session = OpenSession();
  for (const KeyId& id : {destroyed, swept}) {
    EXPECT_TRUE(session.Find(FindById(CKO_PRIVATE_KEY, id)).value().empty());
    EXPECT_TRUE(session.Find(FindById(CKO_PUBLIC_KEY, id)).value().empty());
  }
}

TEST_F(HsmCustodianTest, TheSweepTakesAPublicHalfWithoutItsPrivateOne) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  const KeyId id = NewId();
  ASSERT_OK(custodian->signer().GenerateKey(Algorithm::kEcdsaP256, id));
  const Session session = OpenSession();
  ASSERT_OK(session.Destroy(session.Find(FindById(CKO_PRIVATE_KEY, id)).value().at(0)));
  EXPECT_THAT(custodian->signer().GenerateKey(Algorithm::kEcdsaP256, id),
              FailsWith(ErrorCode::kAlreadyExists));
  ASSERT_OK(custodian->signer().DestroyUnrecorded(std::span(&id, 1)));
  EXPECT_OK(custodian->signer().GenerateKey(Algorithm::kEcdsaP256, id));
}

TEST_F(HsmCustodianTest, BlobsOfTwoWrappingKeysOpenAndNewOnesUseTheFirst) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes before, custodian->sealer().Seal(secret, {}));
  const KeyId lowest = {};
  ASSERT_OK(OpenSession().GenerateKey(CKM_AES_KEY_GEN, NewWrappingKey(lowest)));
  ASSERT_OK_AND_ASSIGN(const auto restarted, HsmFactory(Options(), rng_).Make());
  ASSERT_OK(restarted->sealer().Unseal(before, {}));
  ASSERT_OK_AND_ASSIGN(const Bytes after, restarted->sealer().Seal(secret, {}));
  EXPECT_TRUE(std::ranges::equal(ByteView(after).subspan(1, lowest.size()), lowest));
  for (Custodian* each : {custodian.get(), restarted.get()}) {
    EXPECT_OK(each->sealer().Unseal(before, {}));
    EXPECT_OK(each->sealer().Unseal(after, {}));
  }
}

// C_GenerateKey that is killed leaves one with its label, and without CKA_LOCAL.
TEST_F(HsmCustodianTest, AWrappingKeyThatWasNotMadeToItsEndGivesWayToAnother) {
  const Bytes value(32, 1);
  ObjectTemplate half;
  half.AddNumber(CKA_CLASS, CKO_SECRET_KEY)
      .AddNumber(CKA_KEY_TYPE, CKK_AES)
      .AddFlag(CKA_TOKEN, true)
      .AddFlag(CKA_PRIVATE, true)
      .Add(CKA_LABEL, AsBytes("keyward:wrapping"))
      .Add(CKA_VALUE, value);
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  ASSERT_OK(OpenSession().Create(std::move(half)));
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  EXPECT_OK(custodian->sealer().Seal(secret, {}));
  EXPECT_TRUE(OpenSession().Find(FindHalfMadeWrappingKeys()).value().empty());
  EXPECT_EQ(OpenSession().Find(FindWrappingKeys()).value().size(), 1U);
}

TEST_F(HsmCustodianTest, ABlobWhoseWrappingKeyIsGoneIsOfAnotherToken) {
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, {}));
  const Session session = OpenSession();
  ASSERT_OK(session.Destroy(session.Find(FindWrappingKeys()).value().at(0)));
  EXPECT_THAT(custodian->sealer().Unseal(blob, {}), FailsWith(ErrorCode::kAuthenticationFailed));
  EXPECT_OK(custodian->sealer().Seal(secret, {}))
      << "under a new one, in spite of the stale handle";
}

// With SoftHSM a C_Finalize during a C_Sign is a crash, so this one ends the program if it fails.
TEST_F(HsmCustodianTest, ReloadsWhileOtherThreadsSign) {
  HsmFactory factory(Options(), rng_);
  ASSERT_OK_AND_ASSIGN(const auto custodian, factory.Make());
  ASSERT_OK_AND_ASSIGN(const GeneratedKey key,
                       custodian->signer().GenerateKey(Algorithm::kEcdsaP256, NewId()));
  std::atomic<bool> stop = false;
  std::latch ready(2);
  const auto sign = [&] {
    const auto own = factory.Make();
    ready.count_down();
    ASSERT_OK(own);
    while (!stop) {
      const auto signature = (*own)->signer().Sign(key.reference, AsBytes("message"));
      if (!signature) {
        EXPECT_THAT(signature, FailsWith(ErrorCode::kCustodianUnavailable));
      }
    }
    EXPECT_OK((*own)->signer().Sign(key.reference, AsBytes("message")));
  };
  std::thread first(sign);
  std::thread second(sign);
  ready.wait();
  for (int i = 0; i < 5; ++i) {
    token_.TakeAway();
    EXPECT_THAT(custodian->CheckHealth(), FailsWith(ErrorCode::kCustodianUnavailable));
    token_.BringBack();
    EXPECT_OK(custodian->CheckHealth());
  }
  stop = true;
  first.join();
  second.join();
}

TEST_F(HsmCustodianTest, CustodiansOutliveTheirFactory) {
  auto factory = std::make_unique<HsmFactory>(Options(), rng_);
  ASSERT_OK_AND_ASSIGN(const auto custodian, factory->Make());
  factory.reset();
  EXPECT_OK(custodian->CheckHealth());
}

}  // namespace
}  // namespace keyward::hsm
