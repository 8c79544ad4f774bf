// What tells this run of keyd from any other, and the TPM's word for the state it runs in.
//
// The id is fresh and random, and it is the nonce of the quote: the TPM signs it together with the
// PCRs, so neither can stand for another run or another state. tpm2_checkquote(1) checks both.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "audit/event.h"
#include "core/attester.h"
#include "core/clock.h"
#include "core/rng.h"

namespace keyward {

using BootId = std::array<uint8_t, kMaxQuoteNonce>;

// What sessions and tokens say of the boot that they belong to.
struct BootName {
  std::string id;     // hex
  std::string quote;  // hex of SHA-256 of the quote's message; "" when none was taken by then
};

// kNoTpm: nothing to quote. kWaiting: the TPM has not quoted yet. kChanged: the PCRs are not those
// of the quote any more.
enum class BootState : uint8_t { kNoTpm = 1, kWaiting = 2, kAttested = 3, kChanged = 4 };

// "no-tpm", "waiting", "attested", "changed"
std::string_view Name(BootState state);

// Belongs to the bus thread.
class Boot {
 public:
  // Of a keyd without a TPM, and with an id of zeros.
  Boot() = default;
  // `pcrs`: what a quote covers; nothing where there is no TPM.
  static Boot Begin(std::optional<PcrSelection> pcrs, Rng& rng);

  const BootId& id() const { return id_; }
  const std::optional<PcrSelection>& pcrs() const { return pcrs_; }
  const std::optional<Quote>& quote() const { return quote_; }
  WallTime quoted() const { return quoted_; }  // when; nothing without a quote

  BootState state() const;
  // What is not as it should be and what to do; "" in the states kNoTpm and kAttested.
  std::string Detail() const;
  BootName Name() const;
  // For the audit log, of the start and of each quote: "boot", "quote", "pcrs" (bits).
  std::vector<audit::Event::Detail> AuditDetails() const;

  // `quote` has the id as its nonce, and covers pcrs().
  void Take(Quote quote, WallTime now);
  // There is no quote yet, or no new one, for that reason.
  void NotTaken(Error reason) { not_taken_ = std::move(reason); }
  // What the PCRs measure now; others than those of the quote may be among them. True when the
  // state is another one by that.
  bool Compare(const PcrValues& now);

 private:
  BootId id_{};
  std::optional<PcrSelection> pcrs_;
  std::optional<Quote> quote_;
  WallTime quoted_;
  std::optional<Error> not_taken_;
  PcrSelection changed_;  // the PCRs that have other values than in the quote
};

}  // namespace keyward
