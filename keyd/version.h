// Which Keyward this is.
#pragma once

namespace keyward {

inline constexpr const char* kVersionText = KEYWARD_VERSION;

}  // namespace keyward
