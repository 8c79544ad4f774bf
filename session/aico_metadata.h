// The metadata of AICO messages: a JSON object with AICO's own members and the application's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace keyward::session {

struct ParsedMetadata {
  uint64_t sequence;
  uint64_t epoch;
  std::string application;  // the other members as a JSON object; "" when there are none
};

// {"seq":N,"epoch":E,...}. `application` is "" or a JSON object of at most 4096 bytes without these
// two members, with at most 16 objects and arrays one in the other. It is written out anew:
// members in the order of their names, the last of several with one name. Errors: kMalformed,
// kTooLarge.
Result<std::string> ComposeMetadata(uint64_t sequence, uint64_t epoch,
                                    std::string_view application);

// Errors: kMalformed.
Result<ParsedMetadata> ParseMetadata(std::string_view text);

}  // namespace keyward::session
