// No bytes can be signed for two purposes. The input is the payload.
#include "session/payload.h"
#include "tests/fuzz/require.h"

using keyward::Purpose;
using keyward::fuzz::Require;
using keyward::session::CheckPayload;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int purposes = 0;
  for (const Purpose purpose : keyward::kPurposes) {
    const auto checked = CheckPayload(purpose, {data, size});
    if (checked) ++purposes;
    Require(!checked || purpose != Purpose::kAico);
    Require(checked || !checked.error().message().empty());
  }
  Require(purposes <= 1);
  return 0;
}
