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
  // not configured); then the task is not called.
  Result<void> Submit(uint32_t caller, Task task);
  // Queues a health check past the circuit breaker, which a success closes and a failure leaves
  // alone; `done` runs on a pool thread, or never when the queue is full or the pool takes no task.
  void CheckHealth(std::function<void(const Result<void>&)> done);

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
  void Record(const Job& job, const Result<void>& outcome, const Custodian* custodian);

  const std::string name_;
  const CustodianFactory factory_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  uint64_t generation_ = 1;  // counts DropCustodians
  policy::FairQueue<Job> queue_;
  policy::CircuitBreaker breaker_;
  CustodianStatus status_;
  std::vector<std::thread> threads_;
};

}  // namespace keyward
