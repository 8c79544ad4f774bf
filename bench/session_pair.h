// Two sessions that talk to each other, both of them this process's.
#pragma once

#include "api/keyward.h"

namespace keyward::bench {

// For sessions of libkeyward and for engines alike.
template <class StepInitiator, class StepResponder>
Result<void> Shake(StepInitiator initiator, StepResponder responder) {
  KEYWARD_ASSIGN(const auto hello, initiator(ByteView()));
  KEYWARD_ASSIGN(const auto reply, responder(hello.output));
  KEYWARD_ASSIGN(const auto confirmation, initiator(reply.output));
  KEYWARD_ASSIGN(const auto last, responder(confirmation.output));
  if (last.established) return {};
  return Fail(ErrorCode::kInternal, "the handshake did not end");
}

// Both ends of one handshake in this process, each through keyd.
struct Pair {
  Session initiator;
  Session responder;
};

// Of the modules "frontend" and "backend"; not established yet.
Result<Pair> OpenPair(Client& client);
Result<void> Shake(Pair& pair);

}  // namespace keyward::bench
