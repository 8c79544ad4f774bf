#include "keyd/boot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sodium.h>

#include <utility>

#include "core/encoding.h"

namespace keyward {
namespace {

std::string Sha256Hex(ByteView bytes) {
  std::array<uint8_t, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), bytes.data(), bytes.size());
  return ToHex(digest);
}

}  // namespace

std::string_view Name(BootState state) {
  switch (state) {
    case BootState::kNoTpm:
      return "no-tpm";
    case BootState::kWaiting:
      return "waiting";
    case BootState::kAttested:
      return "attested";
    case BootState::kChanged:
      return "changed";
  }
  return "waiting";
}

Boot Boot::Begin(std::optional<PcrSelection> pcrs, Rng& rng) {
  Boot boot;
  rng.Fill(boot.id_);
  boot.pcrs_ = std::move(pcrs);
  return boot;
}

BootState Boot::state() const {
  if (!pcrs_) return BootState::kNoTpm;
  if (!quote_) return BootState::kWaiting;
  return changed_.empty() ? BootState::kAttested : BootState::kChanged;
}

std::string Boot::Detail() const {
  switch (state()) {
    case BootState::kNoTpm:
    case BootState::kAttested:
      return "";
    case BootState::kWaiting:
      return not_taken_ ? "the TPM has not quoted this boot yet: " + not_taken_->message()
                        : "the TPM is being asked for a quote";
    case BootState::kChanged:
      return fmt::format(
          "PCR {} changed since this boot was quoted: find out what extended it; then restart the "
          "machine, or let it count with keyctl policy pcr sign --pcrs, with these among them, or "
          "with "
          "keyctl seal and unseal",
          fmt::join(changed_, ","));
  }
  return "";
}

BootName Boot::Name() const {
  return {ToHex(id_), quote_ ? Sha256Hex(quote_->message) : std::string()};
}

std::vector<audit::Event::Detail> Boot::AuditDetails() const {
  const BootName name = Name();
  std::vector<audit::Event::Detail> details = {{"boot", audit::SafeText(name.id)}};
  if (quote_) {
    details.push_back({"quote", audit::SafeText(name.quote)});
    details.push_back({"pcrs", uint64_t{ToBits(*pcrs_)}});
  }
  return details;
}

void Boot::Take(Quote quote, WallTime now) {
  quote_ = std::move(quote);
  quoted_ = now;
  not_taken_.reset();
  changed_.clear();
}

bool Boot::Compare(const PcrValues& now) {
  if (!quote_) return false;
  const BootState before = state();
  changed_.clear();
  for (const auto& [pcr, value] : quote_->pcrs) {
    const auto found = now.find(pcr);
    if (found != now.end() && found->second != value) changed_.insert(pcr);
  }
  return state() != before;
}

}  // namespace keyward
