#include "keyd/custodian_pool.h"

#include <utility>

#include "core/vector_registers.h"
#include "keyd/log.h"

namespace keyward {
namespace {

// A command may take a TPM several seconds, and a key pair more, after which it answers.
constexpr std::chrono::seconds kPatience{15};

// Whether an outcome says that the hardware does not serve, rather than that it refused.
bool IsHardwareFailure(const Result<void>& outcome) {
  if (outcome) return false;
  switch (outcome.error().code()) {
    case ErrorCode::kCustodianUnavailable:
    case ErrorCode::kCustodianReplaced:
    case ErrorCode::kCustodianCleared:
    case ErrorCode::kCustodianBusy:
    case ErrorCode::kLockedOut:
    case ErrorCode::kPinRejected:
      return true;
    default:
      return false;
  }
}

std::unexpected<Error> ShuttingDown() {
  return Fail(ErrorCode::kCustodianUnavailable, "the service is shutting down");
}

Error Silent() {
  return {ErrorCode::kCustodianBusy,
          "the hardware does not answer, or works on one command for long: wait; if it lasts, "
          "restart what hangs, the token, the TPM or its resource manager, or the machine"};
}

bool IsSameCause(const Error& one, const Error& other) {
  return one.code() == other.code() && one.message() == other.message();
}

}  // namespace

CustodianPool::CustodianPool(std::string name, CustodianFactory factory, size_t threads,
                             const Clock& clock)
    : name_(std::move(name)),
      clock_(clock),
      factory_(std::move(factory)),
      queue_(policy::FairQueueLimits{}),
      breaker_(clock) {
  status_.name = name_;
  status_.since = clock.Now();
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

CustodianPool::CustodianPool(std::string name, const Clock& clock)
    : CustodianPool(std::move(name), nullptr, 0, clock) {
  status_.failure = Error(ErrorCode::kCustodianUnavailable,
                          "security.yaml configures no '" + name_ +
                              "', which holds keys; configure it again and restart keyd")
                        .WithAction(Action::kAskAdmin);
}

void CustodianPool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  while (std::optional<Job> job = queue_.Pop()) {
    // What it came to says nothing of the hardware.
    [[maybe_unused]] const Result<void> outcome = job->task(ShuttingDown());
  }
}

Result<void> CustodianPool::Submit(uint32_t caller, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (!configured()) return Fail(*status_.failure);
    if (stopping_) return ShuttingDown();
    if (silent_) return Fail(Silent());
    KEYWARD_TRY(queue_.Push(caller, Job{std::move(task), false}));
  }
  wake_.notify_one();
  return {};
}

void CustodianPool::CheckHealth(std::function<void(const Result<Custodian*>&)> done) {
  const auto probe = [done = std::move(done)](Result<Custodian*> custodian) -> Result<void> {
    if (custodian) {
      if (Result<void> healthy = (*custodian)->CheckHealth(); !healthy) {
        custodian = Fail(std::move(healthy).error());
      }
    }
    done(custodian);
    if (!custodian) return Fail(custodian.error());
    return {};
  };
  {
    const std::lock_guard lock(mutex_);
    if (!configured() || stopping_) return;
    if (!asked_) asked_ = clock_.Monotonic();
    if (probes_ == threads_.size() || !queue_.Push(kDaemonItself, Job{probe, true})) {
      return;  // busy enough; how long for is known
    }
    ++probes_;
  }
  wake_.notify_one();
}

void CustodianPool::NoteSilence() {
  const std::lock_guard lock(mutex_);
  if (silent_ || !asked_ || clock_.Monotonic() - *asked_ < kPatience) return;
  silent_ = true;
  status_.failure = Silent();
  StateChanged();
}

void CustodianPool::DropCustodians() {
  {
    const std::lock_guard lock(mutex_);
    ++generation_;
  }
  wake_.notify_all();
}

CustodianStatus CustodianPool::Status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void CustodianPool::Run() {
  std::unique_ptr<Custodian> custodian;
  uint64_t generation = 1;
  while (true) {
    std::optional<Job> job;
    bool drop = false;
    ClearVectorRegisters();
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty() || generation != generation_; });
      if (stopping_) return;
      drop = generation != generation_;
      generation = generation_;
      job = queue_.Pop();
    }
    if (drop) custodian.reset();
    if (!job) continue;
    const Result<void> outcome = Perform(*job, custodian);
    Record(*job, outcome, custodian.get());
  }
}

Result<void> CustodianPool::Admit(const Job& job) {
  if (job.is_probe) return {};
  const std::lock_guard lock(mutex_);
  return breaker_.Admit();
}

Result<void> CustodianPool::Perform(const Job& job, std::unique_ptr<Custodian>& custodian) {
  // The task runs without the lock: it may use the pool.
  if (Result<void> admitted = Admit(job); !admitted) {
    return job.task(Fail(std::move(admitted).error()));
  }
  if (custodian == nullptr) {
    Result<std::unique_ptr<Custodian>> made = factory_();
    if (!made) return job.task(Fail(std::move(made).error()));
    custodian = std::move(*made);
  }
  return job.task(custodian.get());
}

void CustodianPool::Record(const Job& job, const Result<void>& outcome,
                           const Custodian* custodian) {
  // Whatever keeps a check from going through keeps the hardware from serving.
  const bool failed = job.is_probe ? !outcome : IsHardwareFailure(outcome);
  const bool refused = !outcome && outcome.error().code() == ErrorCode::kCircuitBreakerOpen;
  const std::lock_guard lock(mutex_);
  if (job.is_probe) {
    --probes_;
    asked_.reset();
    silent_ = false;
  }
  if (refused) return;
  if (failed) {
    // The breaker counts what its callers met: how long nobody called says nothing to them.
    if (!job.is_probe) breaker_.RecordFailure();
    status_.failure = outcome.error();
    const bool no_answer = outcome.error().code() == ErrorCode::kCustodianUnavailable;
    away_ = away_ || (no_answer && !status_.description.empty());
    return StateChanged();
  }
  // A task may succeed without asking the hardware anything: only a health check says that it is
  // back.
  if (!job.is_probe) return breaker_.RecordSuccess();
  breaker_.Close();
  if (custodian != nullptr) RecordProbe(*custodian);
}

void CustodianPool::RecordProbe(const Custodian& custodian) {
  const HardwareNotes notes = custodian.Notes();
  CountResets(notes);
  if (status_.failure || status_.description.empty()) {
    status_.description = custodian.Describe();
    Log(LogLevel::kInfo, "{} serves: {}", name_, status_.description);
  }
  status_.failure.reset();
  own_concern_ = notes.concern;
  StateChanged();
}

void CustodianPool::CountResets(const HardwareNotes& notes) {
  const bool restarted = notes.starts ? starts_ && *starts_ != *notes.starts : away_;
  starts_ = notes.starts;
  away_ = false;
  if (!restarted) return;
  ++status_.resets;
  Log(LogLevel::kWarning, "{} was restarted, or was away and came back", name_);
}

void CustodianPool::SetConcern(std::optional<Error> concern) {
  const std::lock_guard lock(mutex_);
  other_concern_ = std::move(concern);
  StateChanged();
}

void CustodianPool::StateChanged() {
  status_.concern = own_concern_ ? own_concern_ : other_concern_;
  const Error* trouble = status_.trouble();
  if (trouble == nullptr ? !told_ : told_ && IsSameCause(*told_, *trouble)) return;
  told_ = trouble == nullptr ? std::nullopt : std::optional(*trouble);
  status_.since = clock_.Now();
  if (status_.failure) return LogError(name_ + " does not serve", *trouble);
  if (trouble != nullptr) return LogError(name_ + " serves, but", *trouble);
  Log(LogLevel::kNotice, "{} is well", name_);
}

}  // namespace keyward
