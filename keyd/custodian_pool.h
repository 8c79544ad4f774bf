// The threads that talk to one token or chip, and what is known of its health.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "core/custodian.h"
#include "policy/circuit_breaker.h"
#include "policy/fair_queue.h"

namespace keyward {

// Who asks for what nobody else did; no user's uid: (uid_t)-1.
inline constexpr uint32_t kDaemonItself = 0xffffffff;

struct CustodianStatus {
  std::string name;              // "hsm", "tpm"
  std::string description;       // empty until it was reached once
  std::optional<Error> failure;  // why it does not serve; nothing when it does
  std::optional<Error> concern;  // why somebody should look, although it serves
  WallTime since;                // when what it says here came to be so
  // How often the hardware was started anew, or was away and came back, as far as keyd saw it.
  uint32_t resets = 0;

  // The failure, or else the concern; null when all is well.
  const Error* trouble() const {
    if (failure) return &*failure;
    return concern ? &*concern : nullptr;
  }
};

// Each thread makes a custodian of its own and makes it again after it failed. Any thread may call.
class CustodianPool {
 public:
  // Gets the custodian, or why there is none. Runs on a pool thread; what it does there is serial
  // with all else on that custodian. Returns what its use came to, for the health of the hardware.
  using Task = std::function<Result<void>(Result<Custodian*>)>;

  CustodianPool(std::string name, CustodianFactory factory, size_t threads, const Clock& clock);
  // Of a custodian that keys are kept in and that security.yaml does not configure: takes no task.
  CustodianPool(std::string name, const Clock& clock);
  ~CustodianPool() { Stop(); }
  CustodianPool(const CustodianPool&) = delete;
  CustodianPool& operator=(const CustodianPool&) = delete;

  // Lets the running tasks end; those still waiting are told kCustodianUnavailable.
  void Stop();

  // Queues `task`, fair between callers (uids). Errors: kBusy, kCustodianUnavailable (stopped or
  // not configured), kCustodianBusy (NoteSilence); then the task is not called.
  Result<void> Submit(uint32_t caller, Task task);
  // Queues a health check past the circuit breaker, which a success closes and a failure leaves
  // alone. `done` gets the custodian that serves, to look further, or why it does not; it runs on a
  // pool thread, or never when the queue is full, every thread has a check to answer already, or
  // the pool takes no task.
  void CheckHealth(std::function<void(const Result<Custodian*>&)> done);
  // To be called every few seconds: when no check was answered in the 15 s since one was asked for,
  // the hardware hangs. It fails (kCustodianBusy), with all that is asked of it from then on, until
  // a check is answered. What waited goes on then.
  void NoteSilence();
  // What those who know more than the hardware have to say of it; nothing: all is well.
  void SetConcern(std::optional<Error> concern);

  // Every thread lets its custodian go, with what that holds in memory, before its next task.
  void DropCustodians();

  CustodianStatus Status() const;
  const std::string& name() const { return name_; }
  bool configured() const { return factory_ != nullptr; }

 private:
  struct Job {
    Task task;
    bool is_probe = false;
  };

  void Run();
  Result<void> Admit(const Job& job);
  Result<void> Perform(const Job& job, std::unique_ptr<Custodian>& custodian);
  // The rest with mutex_ held.
  void RecordProbe(const Custodian& custodian);
  void CountResets(const HardwareNotes& notes);
  void StateChanged();
  void Record(const Job& job, const Result<void>& outcome, const Custodian* custodian);

  const std::string name_;
  const Clock& clock_;
  const CustodianFactory factory_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  uint64_t generation_ = 1;  // counts DropCustodians
  policy::FairQueue<Job> queue_;
  policy::CircuitBreaker breaker_;
  CustodianStatus status_;
  std::optional<Error> own_concern_;    // of the hardware about itself
  std::optional<Error> other_concern_;  // SetConcern
  std::optional<uint64_t> starts_;      // as the hardware last counted them
  bool away_ = false;                   // it served, and since then did not answer
  std::optional<Error> told_;           // the trouble that status_.since is of
  size_t probes_ = 0;                   // health checks queued or under way
  std::optional<MonotonicTime> asked_;  // for the first check since one was answered
  bool silent_ = false;                 // NoteSilence found so
  std::vector<std::thread> threads_;
};

}  // namespace keyward
