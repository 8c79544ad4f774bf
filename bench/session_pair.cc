#include "bench/session_pair.h"

namespace keyward::bench {

Result<Pair> OpenPair(Client& client) {
  KEYWARD_ASSIGN(Session initiator, client.OpenSession({.key = "frontend-id",
                                                        .protocol = "aico",
                                                        .role = Role::kInitiator,
                                                        .peer = "backend",
                                                        .lifetime = {}}));
  KEYWARD_ASSIGN(Session responder, client.OpenSession({.key = "backend-id",
                                                        .protocol = "aico",
                                                        .role = Role::kResponder,
                                                        .peer = "frontend",
                                                        .lifetime = {}}));
  return Pair{std::move(initiator), std::move(responder)};
}

Result<void> Shake(Pair& pair) {
  return Shake([&](ByteView input) { return pair.initiator.Step(input); },
               [&](ByteView input) { return pair.responder.Step(input); });
}

}  // namespace keyward::bench
