// Has the audit log signed by keyd's own key, so that whoever reads it elsewhere knows who wrote
// it.
#pragma once

#include <functional>
#include <memory>

#include "keyd/audit_trail.h"
#include "keyd/journal.h"
#include "keyd/service_key.h"

namespace keyward {

// Belongs to the bus thread. Old records go after a signature, which answers for what they were,
// and after the log's tail or the store knows of the record that tells of it.
class AuditCheckpoints {
 public:
  using Done = std::function<void(Result<void>)>;

  // What it refers to outlives it. `interval`: from one signature to the next, while there is
  // something to sign.
  AuditCheckpoints(ServiceKey& key, Journal& journal, const Clock& clock,
                   std::chrono::seconds interval)
      : key_(key),
        journal_(journal),
        trail_(journal.trail()),
        clock_(clock),
        interval_(interval),
        next_(clock.Monotonic() + interval) {}

  // Signs when it is time to. To be called every few seconds.
  void Tick();
  // Signs what there is now; at once done when nothing is unsigned. `done` is called once, here or
  // later, even after the end of this object. Errors: kSealed, kBusy (a signature is under way),
  // those of ServiceKey::Sign and audit::Log::AddCheckpoint.
  void Sign(const Done& done);
  // Whether the last signature answers for less than what there is.
  bool HasUnsigned() const;

 private:
  Result<void> Take(const ServiceKey::Signed& made);
  Result<void> KeepHead();

  ServiceKey& key_;
  Journal& journal_;
  AuditTrail& trail_;
  const Clock& clock_;
  const std::chrono::seconds interval_;
  MonotonicTime next_;
  MonotonicTime retry_;
  bool signing_ = false;
  // Gone with this object.
  std::shared_ptr<AuditCheckpoints*> self_ = std::make_shared<AuditCheckpoints*>(this);
};

}  // namespace keyward
