// Trust on first use: which token this installation belongs to.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/result.h"

namespace keyward::hsm {

// In the state directory: one line, the serial number as CK_TOKEN_INFO has it, without the blanks
// that pad it. It does not tell of every new beginning: SoftHSM keeps the serial when a token is
// initialised again in its slot, and then only what is missing tells (kNotFound).
inline constexpr std::string_view kSerialPinFile = "hsm-token-serial";

// Whether a serial is pinned, which then is `serial`. Errors: kCustodianCleared (another one is),
// kDataCorrupt (the file holds no line), kIo.
Result<bool> CheckSerial(const std::filesystem::path& state_directory, std::string_view serial);

// Pins `serial` where none is. Two processes may do so at once; one of them wins and the other
// compares. Errors: as above.
Result<void> PinSerial(const std::filesystem::path& state_directory, std::string_view serial);

}  // namespace keyward::hsm
