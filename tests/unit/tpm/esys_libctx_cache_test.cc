#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>

#include "tests/support/matchers.h"
#include "tests/support/swtpm.h"
#include "tpm/tpm_custodian.h"

namespace keyward::tpm {
namespace {

using std::chrono::nanoseconds;
using testing_support::Swtpm;
using testing_support::TempDir;

TEST(EsysLibctxCacheTest, EverybodyButEsapiGetsAContextOfTheirOwn) {
  OSSL_LIB_CTX* one = OSSL_LIB_CTX_new();
  OSSL_LIB_CTX* other = OSSL_LIB_CTX_new();
  EXPECT_NE(one, other);
  OSSL_LIB_CTX_free(one);
  EVP_MD* sha256 = EVP_MD_fetch(other, "SHA256", nullptr);  // freeing one left the other alone
  EXPECT_NE(sha256, nullptr);
  EVP_MD_free(sha256);
  OSSL_LIB_CTX_free(other);
}

// The least of many runs, which other load on the machine cannot make smaller.
template <class Work>
nanoseconds LeastTime(Work work) {
  nanoseconds least = nanoseconds::max();
  for (int i = 0; i < 30; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    least = std::min<nanoseconds>(least, std::chrono::steady_clock::now() - start);
  }
  return least;
}

// One Unseal takes several HMACs, each of which would otherwise make a context.
TEST(EsysLibctxCacheTest, AWholeUnsealIsCheaperThanOneContext) {
  SystemRng rng;
  const TempDir state;
  ASSERT_OK_AND_ASSIGN(const auto tpm, Swtpm::Start());
  ASSERT_OK_AND_ASSIGN(const auto custodian,
                       TpmCustodian::Create({tpm->tcti(), state.path()}, rng));
  ASSERT_OK_AND_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng));
  ASSERT_OK_AND_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, {}));

  const nanoseconds unseal = LeastTime([&] { EXPECT_OK(custodian->sealer().Unseal(blob, {})); });
  const nanoseconds context = LeastTime([] {
    OSSL_LIB_CTX* made = OSSL_LIB_CTX_new();
    EVP_MD_free(EVP_MD_fetch(made, "SHA256", nullptr));
    OSSL_LIB_CTX_free(made);
  });
  EXPECT_LT(unseal, context);
}

}  // namespace
}  // namespace keyward::tpm
