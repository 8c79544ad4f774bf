// The parsers of what the TPM custodian handed out, fed with anything: they may refuse, and what
// they accept must be written again as the same bytes.
#include <algorithm>
#include <cstdlib>

#include "tpm/blob.h"

namespace {

using keyward::ByteView;

void CheckKeyReference(ByteView input) {
  const auto record = keyward::tpm::DecodeKeyReference(input);
  if (!record) return;
  const auto again = keyward::tpm::EncodeKeyReference(*record);
  if (!again || !std::ranges::equal(*again, input)) std::abort();
}

void CheckSealedBlob(ByteView input) {
  const auto object = keyward::tpm::DecodeSealedBlob(input);
  if (!object) return;
  const auto again = keyward::tpm::EncodeSealedBlob(*object);
  if (!again || !std::ranges::equal(*again, input)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  CheckKeyReference({data, size});
  CheckSealedBlob({data, size});
  return 0;
}
