// How keyd names what hardware keeps.
#pragma once

#include <array>
#include <cstdint>

namespace keyward {

// 16 random bytes that name one key, counter or master seal for ever. Chosen by keyd and written
// down *before* the custodian is asked to make the thing, so that a crash in between leaves nothing
// nameless.
using KeyId = std::array<uint8_t, 16>;

}  // namespace keyward
