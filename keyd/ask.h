// Asking the hardware for something: on a thread of its custodian, with the answer back here.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "keyd/custodian_pool.h"

namespace keyward {

// The outcome of `work` on a custodian, of which a pool learns no more than whether it went well.
template <class T>
Result<T> AskOn(const Result<Custodian*>& custodian,
                const std::function<Result<T>(Custodian&)>& work) {
  if (!custodian) return Fail(custodian.error());
  return work(**custodian);
}

// Queues `work` for `pool` in the name of `caller` (a uid, or kDaemonItself), and has `post` run
// `done` with what it came to; `done` is called once, also when the pool takes no task. T may be
// move-only.
template <class T>
void Ask(CustodianPool& pool, uint32_t caller,
         const std::function<void(std::function<void()>)>& post,
         std::function<Result<T>(Custodian&)> work, std::function<void(Result<T>)> done) {
  auto finish = [post, done = std::move(done)](Result<T> outcome) {
    auto shared = std::make_shared<Result<T>>(std::move(outcome));
    post([done, shared] { done(std::move(*shared)); });
  };
  const Result<void> queued =
      pool.Submit(caller, [work = std::move(work), finish](const Result<Custodian*>& custodian) {
        Result<T> outcome = AskOn(custodian, work);
        Result<void> health = outcome ? Result<void>() : Fail(outcome.error());
        finish(std::move(outcome));
        return health;
      });
  if (!queued) finish(Fail(queued.error()));
}

// The same, and waits for it: for a keyd that does one thing and ends.
template <class T>
Result<T> AskAndWait(CustodianPool& pool, std::function<Result<T>(Custodian&)> work) {
  auto answer = std::make_shared<std::promise<Result<T>>>();
  KEYWARD_TRY(pool.Submit(kDaemonItself,
                          [answer, work = std::move(work)](const Result<Custodian*>& custodian) {
                            Result<T> outcome = AskOn(custodian, work);
                            Result<void> health = outcome ? Result<void>() : Fail(outcome.error());
                            answer->set_value(std::move(outcome));
                            return health;
                          }));
  return answer->get_future().get();
}

}  // namespace keyward
