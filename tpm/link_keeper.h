// Gives work a link, and a new one when the TPM was lost.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tpm/link.h"

namespace keyward::tpm {

// One thread at a time.
class LinkKeeper {
 public:
  LinkKeeper(std::string tcti, std::filesystem::path state_directory)
      : tcti_(std::move(tcti)), state_directory_(std::move(state_directory)) {}

  // Errors: those of Link::Connect.
  Result<void> Connect() {
    KEYWARD_ASSIGN(link_, Link::Connect(tcti_, state_directory_));
    facts_ = link_->facts();
    return {};
  }

  // Runs `Result<T> work(Link&)`. When the link is lost meanwhile, once more on a new one: what the
  // TPM loses at a restart is loaded again from the blobs. At most one link is made for each call.
  template <class Work>
  auto Run(Work work) -> decltype(work(std::declval<Link&>())) {
    const bool was_linked = link_ != nullptr;
    if (!was_linked) KEYWARD_TRY(Connect());
    auto result = work(*link_);
    if (!link_->lost()) return result;
    link_.reset();
    if (result || !was_linked) return result;
    KEYWARD_TRY(Connect());
    result = work(*link_);
    if (link_->lost()) link_.reset();
    return result;
  }

  void Unload(const Digest& key) {
    if (link_) link_->Unload(key);
  }

  // As of the last link; empty before the first.
  const TpmFacts& facts() const { return facts_; }

 private:
  std::string tcti_;
  std::filesystem::path state_directory_;
  std::unique_ptr<Link> link_;
  TpmFacts facts_;
};

}  // namespace keyward::tpm
