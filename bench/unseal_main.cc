// Prints how long it takes the TPM to unseal 32 bytes in an encrypted session (median,
// milliseconds). Built twice: with the cached OSSL_LIB_CTX as keyd has it, and without.
#include "bench/measure.h"
#include "core/rng.h"
#include "tpm/tpm_custodian.h"

namespace keyward::bench {
namespace {

Result<double> Unseal(const std::string& tcti, const std::string& state_directory) {
  SystemRng rng;
  KEYWARD_ASSIGN(const std::unique_ptr<tpm::TpmCustodian> custodian,
                 tpm::TpmCustodian::Create({tcti, state_directory}, rng));
  KEYWARD_ASSIGN(const SecretBytes secret, SecretBytes::Random(32, rng));
  const ByteView context = AsBytes("bench");
  KEYWARD_ASSIGN(const Bytes blob, custodian->sealer().Seal(secret, context));
  return MeasureMedian([&]() -> Result<void> {
    KEYWARD_ASSIGN(const SecretBytes unsealed, custodian->sealer().Unseal(blob, context));
    if (unsealed.Equals(secret.RevealSecret())) return {};
    return Fail(ErrorCode::kInternal, "another secret came back");
  });
}

}  // namespace
}  // namespace keyward::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: {} TCTI STATE_DIRECTORY\n", argv[0]);
    return 2;
  }
  return keyward::bench::Report(keyward::bench::Unseal(argv[1], argv[2]));
}
