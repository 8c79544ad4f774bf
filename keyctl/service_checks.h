// What keyctl doctor hears from keyd, or of why there is none.
#pragma once

#include <filesystem>

#include "api/admin.h"
#include "keyctl/finding.h"

namespace keyward::keyctl {

// Of a bus that cannot be reached.
Finding CheckNoBus(const Error& error);
// Of a bus where no keyd answers; why the last one ended, where this user may know.
Findings CheckNoKeyd(const Error& error, const std::filesystem::path& state_directory);

// The bus, keyd, its seal, each custodian, the boot, the stored state.
Findings CheckStatus(const ServiceStatus& status);

// Whether a state of the boot is signed, and the one of now is. For admins.
Finding CheckPcrPolicies(const Result<PcrSummary>& summary);

// What there is beside the hardware that has the master key, for the day when it is lost. For
// admins.
Finding CheckSecondSeal(const Result<SealsSummary>& seals);

}  // namespace keyward::keyctl
