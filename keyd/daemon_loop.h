// The bus thread: waits for the bus, for other threads, for time and for signals.
#pragma once

#include "keyd/bus/bus_server.h"
#include "keyd/custodian_watch.h"
#include "keyd/hardware_watch.h"
#include "keyd/post_queue.h"

namespace keyward {

struct DaemonLoopParts {
  Daemon& daemon;
  AdminService& admin;
  Unsealer& unsealer;
  Attestation& attestation;
  HardwareWatch& watch;
  bus::BusServer& bus;
  PostQueue& posts;
  const UniqueFd& signals;
};

// Runs until SIGTERM or SIGINT. A bus that goes away is asked again, with sessions living on
// meanwhile; a custodian that does not serve is tried again every few seconds.
class DaemonLoop {
 public:
  explicit DaemonLoop(DaemonLoopParts parts) : parts_(parts) {}

  // Errors: why keyd can never come to serve as things are.
  Result<void> Run();

 private:
  // Waits for the next event, at most until the next thing that is due.
  void Wait();
  void ServeBus();
  // keyd appears on the bus when it is known whether it serves, so that nobody finds it on its way.
  Result<void> Appear();
  void Reconnect(MonotonicTime now);
  void CheckCustodians(MonotonicTime now);
  void TendAudit(MonotonicTime now);
  void HandleSignal(int signal);

  const DaemonLoopParts parts_;
  bool stopping_ = false;
  bool has_appeared_ = false;
  bool has_tried_ = false;  // to unseal
  MonotonicTime next_connect_;
  std::chrono::milliseconds connect_delay_{100};
  MonotonicTime next_check_;
  CustodianWatch watch_;
  MonotonicTime next_head_;
};

}  // namespace keyward
