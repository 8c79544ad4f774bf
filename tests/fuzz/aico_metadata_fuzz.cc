// Whatever an application gives as metadata is refused or arrives, and arrives in one form only.
#include "session/aico_message.h"
#include "session/aico_metadata.h"
#include "tests/fuzz/require.h"

using keyward::fuzz::Require;
using keyward::session::ComposeMetadata;
using keyward::session::ParseMetadata;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = keyward::AsText({data, size});
  const auto of_a_peer = ParseMetadata(text);
  Require(of_a_peer || of_a_peer.error().code() == keyward::ErrorCode::kMalformed);
  const auto composed = ComposeMetadata(7, 9, text);
  if (!composed) return 0;
  Require(composed->size() <= keyward::session::kAicoMaxMetadata);
  const auto parsed = ParseMetadata(*composed);
  Require(parsed && parsed->sequence == 7 && parsed->epoch == 9);
  if (parsed->application.size() > keyward::session::kAicoMaxApplicationMetadata) return 0;
  const auto again = ComposeMetadata(7, 9, parsed->application);
  Require(again && *again == *composed);
  return 0;
}
