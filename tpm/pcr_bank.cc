#include "tpm/pcr_bank.h"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <optional>
#include <span>

#include "tpm/esys_ptr.h"

namespace keyward::tpm {
namespace {

constexpr int kMaxTries = 4;

struct Answer {
  uint32_t update_counter;  // which the TPM changes with every extension
  PcrValues values;
};

// As many of `pcrs` as one answer holds.
Result<Answer> ReadSome(Link& link, const PcrSelection& pcrs) {
  KEYWARD_ASSIGN(const TPML_PCR_SELECTION wanted, ToTpmSelection(pcrs));
  KEYWARD_ASSIGN(const ESYS_TR session, link.Session(EsysSession::Protect::kAudit));
  Answer answer{};
  EsysPtr<TPML_PCR_SELECTION> selection;
  EsysPtr<TPML_DIGEST> digests;
  const Outcome outcome = link.connection().RunInSession("TPM2_PCR_Read", [&] {
    return Esys_PCR_Read(link.connection().get(), session, ESYS_TR_NONE, ESYS_TR_NONE, &wanted,
                         &answer.update_counter, EsysOut(selection), EsysOut(digests));
  });
  KEYWARD_TRY(outcome.Check());
  const PcrSelection given = FromTpmSelection(*selection);
  if (given.empty()) {
    return Fail(ErrorCode::kNotSupported, "the TPM keeps no SHA-256 bank with these PCRs");
  }
  const bool fits = given.size() == digests->count && std::ranges::includes(pcrs, given);
  size_t at = 0;
  for (const uint32_t pcr : given) {
    if (!fits || digests->digests[at].size != sizeof(PcrValue)) {
      return Fail(ErrorCode::kAuthenticationFailed,
                  "the TPM gave other PCRs than it was asked for");
    }
    std::copy_n(digests->digests[at++].buffer, sizeof(PcrValue), answer.values[pcr].begin());
  }
  return answer;
}

// Nothing when a PCR was extended between two answers.
Result<std::optional<PcrValues>> ReadOnce(Link& link, PcrSelection rest) {
  std::optional<Answer> all;
  while (!rest.empty()) {
    KEYWARD_ASSIGN(Answer some, ReadSome(link, rest));
    for (const auto& [pcr, value] : some.values) rest.erase(pcr);
    if (!all) {
      all = std::move(some);
    } else {
      if (some.update_counter != all->update_counter) return std::nullopt;
      all->values.merge(some.values);
    }
  }
  return std::move(all->values);
}

}  // namespace

Result<TPML_PCR_SELECTION> ToTpmSelection(const PcrSelection& pcrs) {
  KEYWARD_ASSIGN(const Bytes marshalled, MarshalPcrSelection(pcrs));
  TPML_PCR_SELECTION selection{};
  size_t at = 0;
  const TSS2_RC rc =
      Tss2_MU_TPML_PCR_SELECTION_Unmarshal(marshalled.data(), marshalled.size(), &at, &selection);
  KEYWARD_TRY(Outcome(rc, "Tss2_MU_TPML_PCR_SELECTION_Unmarshal").Check());
  return selection;
}

PcrSelection FromTpmSelection(const TPML_PCR_SELECTION& selection) {
  PcrSelection pcrs;
  for (const TPMS_PCR_SELECTION& bank : std::span(selection.pcrSelections, selection.count)) {
    if (bank.hash != TPM2_ALG_SHA256) continue;
    const uint32_t bits = std::min<uint32_t>(8U * bank.sizeofSelect, kPcrCount);
    for (uint32_t pcr = 0; pcr < bits; ++pcr) {
      if ((bank.pcrSelect[pcr / 8] >> (pcr % 8) & 1) != 0) pcrs.insert(pcr);
    }
  }
  return pcrs;
}

Result<PcrValues> ReadPcrs(Link& link, const PcrSelection& pcrs) {
  KEYWARD_TRY(MarshalPcrSelection(pcrs));
  for (int i = 0; i < kMaxTries; ++i) {
    KEYWARD_ASSIGN(std::optional<PcrValues> values, ReadOnce(link, pcrs));
    if (values) return std::move(*values);
  }
  return Fail(ErrorCode::kCustodianBusy, "the PCRs change faster than they can be read");
}

}  // namespace keyward::tpm
