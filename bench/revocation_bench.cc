#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "api/admin.h"
#include "bench/session_pair.h"
#include "bench/workloads.h"

namespace keyward::bench {
namespace {

constexpr size_t kPairs = 5000;
constexpr const char* kKey = "frontend-id";  // the initiators' own, and their peers' peer

// A channel each.
Result<void> AllowDescriptors() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return Fail(ErrorCode::kInternal, "getrlimit");
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) return Fail(ErrorCode::kInternal, "setrlimit");
  return {};
}

Result<std::vector<Pair>> OpenPairs(Client& client) {
  std::vector<Pair> pairs;
  for (size_t i = 0; i < kPairs; ++i) {
    KEYWARD_ASSIGN(Pair pair, OpenPair(client));
    KEYWARD_TRY(Shake(pair));
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

// Milliseconds until keyd has said that every session is dead.
Result<double> RevokeOnce(Client& client, AdminClient& admin) {
  using Clock = std::chrono::steady_clock;
  KEYWARD_ASSIGN(std::vector<Pair> pairs, OpenPairs(client));
  const auto start = Clock::now();
  KEYWARD_ASSIGN(const uint32_t ended, admin.RevokeKey(kKey, std::nullopt));
  const double took = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  if (ended != 2 * kPairs) return Fail(ErrorCode::kInternal, "not every session has ended");
  for (Pair& pair : pairs) {
    if (pair.initiator.Seal(Bytes{1}) || pair.responder.Seal(Bytes{1})) {
      return Fail(ErrorCode::kInternal, "a session outlived its key");
    }
  }
  KEYWARD_TRY(admin.RotateKey(kKey));
  return took;
}

}  // namespace

Result<double> RevokeTenThousandSessions(size_t rounds) {
  KEYWARD_TRY(AllowDescriptors());
  KEYWARD_ASSIGN(Client client, Client::Connect());
  KEYWARD_ASSIGN(const std::unique_ptr<AdminClient> admin, AdminClient::Connect());
  std::vector<double> times;
  for (size_t i = 0; i < rounds; ++i) {
    KEYWARD_ASSIGN(const double took, RevokeOnce(client, *admin));
    times.push_back(took);
  }
  std::ranges::sort(times);
  const auto rank = static_cast<size_t>(std::ceil(0.99 * static_cast<double>(rounds)));
  return times.at(rank - 1);
}

}  // namespace keyward::bench
