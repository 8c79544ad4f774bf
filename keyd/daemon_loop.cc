#include "keyd/daemon_loop.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "core/vector_registers.h"
#include "keyd/log.h"
#include "keyd/process.h"

namespace keyward {
namespace {

constexpr std::chrono::milliseconds kShortestDelay{100};
constexpr std::chrono::milliseconds kLongestDelay{5000};
constexpr std::chrono::seconds kCheckInterval{2};
constexpr std::chrono::seconds kStartPatience{5};
constexpr std::chrono::seconds kHeadInterval{60};

}  // namespace

Result<void> DaemonLoop::Run() {
  const MonotonicTime patience = parts_.daemon.clock.Monotonic() + kStartPatience;
  parts_.attestation.Begin();
  parts_.unsealer.TryUnseal([this](const Result<void>&) { has_tried_ = true; });
  while (!stopping_) {
    if (parts_.unsealer.fatal()) return Fail(*parts_.unsealer.fatal());
    if (!has_appeared_ && (has_tried_ || parts_.daemon.clock.Monotonic() > patience)) {
      KEYWARD_TRY(Appear());
    }
    const MonotonicTime now = parts_.daemon.clock.Monotonic();
    CheckCustodians(now);
    if (has_appeared_ && !parts_.bus.connected()) Reconnect(now);
    ServeBus();
    if (has_tried_ && !has_appeared_) continue;  // whoever started keyd waits for it
    Wait();
  }
  return {};
}

Result<void> DaemonLoop::Appear() {
  KEYWARD_TRY(parts_.bus.Connect());
  has_appeared_ = true;
  LogLine(LogLevel::kNotice, "is on the bus");
  return {};
}

void DaemonLoop::ServeBus() {
  parts_.posts.RunPosted();
  if (!parts_.bus.connected()) return;
  if (Result<void> processed = parts_.bus.Process(); !processed) {
    LogError("the bus is gone; sessions live on", processed.error());
  }
}

void DaemonLoop::Wait() {
  const MonotonicTime now = parts_.daemon.clock.Monotonic();
  MonotonicTime due = next_check_;
  if (const auto deadline = parts_.daemon.sessions.EndExpired(now)) {
    due = std::min(due, *deadline);
  }
  std::array<pollfd, 3> fds{};
  fds[0] = {.fd = parts_.posts.fd(), .events = POLLIN, .revents = 0};
  fds[1] = {.fd = parts_.signals.get(), .events = POLLIN, .revents = 0};
  fds[2] = {.fd = -1, .events = 0, .revents = 0};
  int timeout = static_cast<int>(std::clamp<int64_t>((due - now).count(), 0, 60'000));
  if (parts_.bus.connected()) {
    if (const Result<bus::BusPoll> poll = parts_.bus.Poll()) {
      fds[2] = {.fd = poll->fd, .events = poll->events, .revents = 0};
      if (poll->timeout_ms >= 0) timeout = std::min(timeout, poll->timeout_ms);
    }
  } else if (has_appeared_) {
    timeout =
        std::min(timeout, static_cast<int>(std::max<int64_t>((next_connect_ - now).count(), 0)));
  }
  ClearVectorRegisters();
  if (poll(fds.data(), fds.size(), timeout) < 0) return;  // a signal: look at everything anew
  if ((fds[1].revents & POLLIN) != 0) HandleSignal(ReadSignal(parts_.signals));
}

void DaemonLoop::Reconnect(MonotonicTime now) {
  if (now < next_connect_) return;
  const Result<void> connected = parts_.bus.Connect();
  if (connected) {
    connect_delay_ = kShortestDelay;
    LogLine(LogLevel::kNotice, "connected to the bus");
    return;
  }
  LogError("connecting to the bus", connected.error());
  next_connect_ = now + connect_delay_;
  connect_delay_ = std::min(connect_delay_ * 2, kLongestDelay);
}

void DaemonLoop::CheckCustodians(MonotonicTime now) {
  if (now < next_check_) return;
  next_check_ = now + kCheckInterval;
  if (parts_.daemon.vault != nullptr) {
    parts_.daemon.vault->schedule().Tick();
    parts_.daemon.vault->registry().RecordUnrecorded();
    parts_.daemon.vault->TendReserve();
  }
  TendAudit(now);
  parts_.watch.Check();
}

// How far the log has come is written down with every change; here, what else it holds.
void DaemonLoop::TendAudit(MonotonicTime now) {
  parts_.daemon.audit.Tick();
  watch_.Look(parts_.daemon.pools, parts_.daemon.audit);
  if (parts_.daemon.vault == nullptr) return;
  parts_.daemon.vault->checkpoints().Tick();
  if (now < next_head_) return;
  next_head_ = now + kHeadInterval;
  if (const Result<void> noted = parts_.daemon.vault->journal().NoteAuditHead(); !noted) {
    LogError("writing down how far the audit log has come", noted.error());
  }
}

void DaemonLoop::HandleSignal(int signal) {
  if (signal == SIGTERM || signal == SIGINT) stopping_ = true;
  if (signal != SIGHUP) return;
  if (const Result<void> reloaded = parts_.admin.ReloadPolicy(kDaemonItself); !reloaded) {
    LogError("reading security.yaml again; the old one stays in force", reloaded.error());
  }
}

}  // namespace keyward
