// What others do on the same token: processes that race with this one, and some that do not know
// the PIN.
#include <array>
#include <latch>
#include <optional>
#include <thread>

#include "core/encoding.h"
#include "hsm/session.h"
#include "tests/unit/hsm/hsm_fixture.h"

namespace keyward::hsm {
namespace {

using testing_support::IsOkAndHolds;

constexpr KeyId kId = {0x5e, 0x11};
const ByteView kContext = AsBytes("shared token");

class SharedTokenTest : public HsmFixture {
 protected:
  // Puts a public object on the token, for which PKCS#11 asks for no login.
  static void Plant(ObjectTemplate object) {
    ASSERT_OK_AND_ASSIGN(const auto module, HsmModule::Load(SoftHsmToken::kModulePath));
    ASSERT_OK_AND_ASSIGN(const CK_SLOT_ID slot, FindToken(*module, SoftHsmToken::kLabel));
    ASSERT_OK_AND_ASSIGN(const HsmModule::Call call, module->Enter());
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    ASSERT_EQ(
        call->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &session),
        CKR_OK);
    CK_OBJECT_HANDLE planted = CK_INVALID_HANDLE;
    object.AddFlag(CKA_TOKEN, true).AddFlag(CKA_PRIVATE, false);
    EXPECT_EQ(call->C_CreateObject(session, object.attributes().data(), object.attributes().size(),
                                   &planted),
              CKR_OK);
    EXPECT_EQ(call->C_CloseSession(session), CKR_OK);
  }
  static ObjectTemplate AesKey(ByteView value, std::string_view label = "keyward:wrapping") {
    ObjectTemplate key;
    key.AddNumber(CKA_CLASS, CKO_SECRET_KEY)
        .AddNumber(CKA_KEY_TYPE, CKK_AES)
        .Add(CKA_LABEL, AsBytes(label))
        .AddFlag(CKA_ENCRYPT, true)
        .AddFlag(CKA_DECRYPT, true)
        .Add(CKA_VALUE, value);
    return key;
  }
  static ObjectTemplate P256Key(const KeyId& id) {
    ObjectTemplate key = FindById(CKO_PRIVATE_KEY, id);
    key.AddNumber(CKA_KEY_TYPE, CKK_EC)
        .AddFlag(CKA_SIGN, true)
        .Add(CKA_EC_PARAMS, CurveOf(Algorithm::kEcdsaP256))
        .Add(CKA_VALUE, Bytes(32, 0x01));
    return key;
  }
};

TEST_F(SharedTokenTest, AWrappingKeyThatSomebodyPlantedSealsNothing) {
  ASSERT_NO_FATAL_FAILURE(Plant(AesKey(Bytes(32, 0x07))));
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, kContext));
  ASSERT_NO_FATAL_FAILURE(Plant(AesKey(Bytes(32, 0x08))));
  // Without the planted keys it opens all the same, so it was not sealed under one of them.
  ASSERT_OK_AND_ASSIGN(const auto module, HsmModule::Load(SoftHsmToken::kModulePath));
  ASSERT_OK_AND_ASSIGN(const CK_SLOT_ID slot, FindToken(*module, SoftHsmToken::kLabel));
  ASSERT_OK_AND_ASSIGN(const Session session, Session::Open(module, slot));
  ObjectTemplate planted;
  planted.AddNumber(CKA_CLASS, CKO_SECRET_KEY).AddFlag(CKA_PRIVATE, false);
  ASSERT_OK_AND_ASSIGN(const auto found, session.Find(std::move(planted)));
  EXPECT_EQ(found.size(), 2U);
  for (const CK_OBJECT_HANDLE key : found) ASSERT_OK(session.Destroy(key));
  ASSERT_OK_AND_ASSIGN(const auto restarted, HsmFactory(Options(), rng_).Make());
  EXPECT_OK(restarted->sealer().Unseal(blob, kContext));
}

TEST_F(SharedTokenTest, AKeyPlantedUnderTheIdOfAnotherDoesNotBlockIt) {
  std::optional<GeneratedKey> key;
  {
    ASSERT_OK_AND_ASSIGN(const auto maker, HsmFactory(Options(), rng_).Make());
    ASSERT_OK_AND_ASSIGN(key, maker->signer().GenerateKey(Algorithm::kEcdsaP256, kId));
  }
  ASSERT_NO_FATAL_FAILURE(Plant(P256Key(kId)));
  ASSERT_OK_AND_ASSIGN(const auto custodian, HsmFactory(Options(), rng_).Make());
  ASSERT_OK_AND_ASSIGN(const Bytes signature, custodian->signer().Sign(key->reference, kContext));
  EXPECT_OK(key->public_key.Verify(kContext, signature));
}

TEST_F(SharedTokenTest, AMasterKeyThatSomebodyPlantedOpensNothing) {
  const auto custodian = MakeCustodian();
  ASSERT_OK_AND_ASSIGN(const SecretBytes master, SecretBytes::Random(kMasterKeySize, rng_));
  ASSERT_OK_AND_ASSIGN(const Bytes record,
                       custodian->master_sealer().SealMaster(kId, master, std::nullopt));
  ASSERT_NO_FATAL_FAILURE(
      Plant(std::move(AesKey(Bytes(32, 0x07), "keyward:master").Add(CKA_ID, kId))));
  ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                       custodian->master_sealer().UnsealMaster(kId, record, {}));
  EXPECT_TRUE(opened.Equals(master.RevealSecret()));
  const Session session = OpenSession();
  ASSERT_OK(session.Destroy(session.Find(FindMasterKey(kId)).value().at(0)));
  EXPECT_THAT(custodian->master_sealer().UnsealMaster(kId, record, {}),
              FailsWith(ErrorCode::kNotFound));
}

TEST_F(SharedTokenTest, ACounterValueThatSomebodyPlantedCountsForNothing) {
  const auto value = [](uint64_t number) {
    ObjectTemplate object;
    object.AddNumber(CKA_CLASS, CKO_DATA)
        .Add(CKA_APPLICATION, AsBytes("keyward"))
        .Add(CKA_LABEL, AsBytes("keyward:counter:" + ToHex(kId)))
        .Add(CKA_VALUE, Writer().Raw(kId).Integer(number).Take());
    return object;
  };
  ASSERT_NO_FATAL_FAILURE(Plant(value(70)));
  const auto custodian = MakeCustodian();
  EXPECT_THAT(custodian->counter().Read(kId), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(custodian->counter().Create(kId), IsOkAndHolds(1U));
  ASSERT_NO_FATAL_FAILURE(Plant(value(71)));
  EXPECT_THAT(custodian->counter().Read(kId), IsOkAndHolds(1U));
  EXPECT_THAT(custodian->counter().Increment(kId), IsOkAndHolds(2U));
}

// Two factories share no lock, as two processes do not.
TEST_F(SharedTokenTest, FirstSealsAtTheSameMomentEndUpUnderOneKey) {
  std::array<HsmFactory, 2> factories = {HsmFactory(Options(), rng_), HsmFactory(Options(), rng_)};
  ASSERT_OK_AND_ASSIGN(const auto witness, factories[0].Make());
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng_));
  std::array<Result<Bytes>, 2> blobs;
  std::latch start(2);
  const auto seal = [&](size_t i) {
    Result<std::unique_ptr<Custodian>> custodian = factories[i].Make();
    start.arrive_and_wait();
    blobs[i] = custodian ? (*custodian)->sealer().Seal(secret, kContext) : Fail(custodian.error());
  };
  std::thread other(seal, 1);
  seal(0);
  other.join();
  for (const Result<Bytes>& blob : blobs) {
    ASSERT_OK(blob);
    EXPECT_OK(witness->sealer().Unseal(*blob, kContext));
  }
}

}  // namespace
}  // namespace keyward::hsm
