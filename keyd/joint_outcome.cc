#include "keyd/joint_outcome.h"

namespace keyward {

void JointOutcome::Of(const Ended& done, const std::function<void(JointOutcome&)>& begin) {
  const std::shared_ptr<JointOutcome> joint(new JointOutcome(done));
  const Done begun = joint->Part();
  begin(*joint);
  begun({});
}

JointOutcome::Done JointOutcome::Part() {
  ++parts_;
  return [self = shared_from_this()](const Result<void>& outcome) {
    if (!outcome && !self->error_) self->error_ = outcome.error();
    if (--self->parts_ > 0) return;
    self->done_(self->error_ ? Result<uint32_t>(Fail(*self->error_)) : self->ended_);
  };
}

JointOutcome::Ended JointOutcome::PartThatEnds() {
  return [self = shared_from_this(), part = Part()](const Result<uint32_t>& ended) {
    if (ended) self->CountEnded(*ended);
    part(ended ? Result<void>() : Fail(ended.error()));
  };
}

}  // namespace keyward
