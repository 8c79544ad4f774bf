// What announced versions that came to nothing have left in the hardware.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "keyd/custodian_pool.h"
#include "keyd/journal.h"

namespace keyward {

// Each until its custodian has removed what there is of it. Belongs to the bus thread.
class Remains : public std::enable_shared_from_this<Remains> {
 public:
  using Post = std::function<void(std::function<void()>)>;

  // `journal` is there for as long as whoever holds the remains.
  Remains(Journal& journal, Post post) : journal_(journal), post_(std::move(post)) {}

  void Note(const VersionRecord& version, const std::string& custodian);
  // Those of the versions of `key`.
  std::vector<KeyId> Of(std::string_view key) const;
  // They are removed, and the store does not know of them any more.
  void Forget(std::string_view key);
  // Has the custodian remove what is its own. For when `pool` serves.
  void Sweep(CustodianPool& pool);

 private:
  struct One {
    std::string key;
    std::string custodian;
    bool being_swept = false;
  };

  void EndSweep(const std::vector<KeyId>& ids, const Result<void>& swept);

  Journal& journal_;
  const Post post_;
  std::map<KeyId, One> left_;
};

}  // namespace keyward
