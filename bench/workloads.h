// What the benchmarks measure: each workload through Keyward, and the same work by its peer.
#pragma once

#include <string>

#include "core/result.h"

namespace keyward::bench {

// P-256 signatures per second through keyd's channel with the key `key`, pipelined: what a channel
// can do and C_Sign cannot.
Result<double> SignOverChannel(const std::string& key);

struct TokenKey {
  std::string module;  // path of a PKCS#11 module
  std::string label;   // of the token
  std::string pin_file;
};
// P-256 signatures per second by C_Sign on the first P-256 key of the token, one at a time.
Result<double> SignWithModule(const TokenKey& token);

// 16 KiB messages sealed per second: through keyd, pipelined; and by libsodium in this process.
Result<double> SealOverChannel();
Result<double> SealWithSodium();

// Milliseconds (median) of a whole mutual AICO handshake with HSM identities: both ends through
// keyd; and the same engines and the same token in this process.
Result<double> HandshakeThroughKeyd();
Result<double> HandshakeInProcess(const TokenKey& token, const std::string& state_directory);

// Milliseconds (99th percentile of `rounds`) that a revocation takes which ends 10,000 established
// sessions.
Result<double> RevokeTenThousandSessions(size_t rounds);

}  // namespace keyward::bench
