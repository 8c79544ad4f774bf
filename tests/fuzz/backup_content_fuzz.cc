// The parsers of a backup's content, fed with anything: as somebody with the recovery certificate
// may write it, with or without a MAC that holds.
#include <algorithm>

#include "core/encoding.h"
#include "keyd/backup/content.h"
#include "keyd/backup/manifest.h"
#include "tests/fuzz/require.h"

namespace {

using namespace keyward;

bool IsAccepted(ByteView input) {
  Reader in(input);
  const auto fill = [&in](MutableBytes out) -> Result<void> {
    KEYWARD_ASSIGN(const ByteView piece, in.Raw(out.size()));
    std::ranges::copy(piece, out.begin());
    return {};
  };
  return backup::ReadContent({}, fill) && in.End();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(data, size);
  if (IsAccepted(input)) {
    Bytes altered = ToBytes(input);
    altered[size / 2] ^= 1;
    fuzz::Require(!IsAccepted(altered));
  }
  if (const Result<backup::Manifest> manifest = backup::DecodeManifest(input)) {
    const Result<Bytes> again = backup::EncodeManifest(*manifest);
    fuzz::Require(again && std::ranges::equal(*again, input));
  }
  return 0;
}
