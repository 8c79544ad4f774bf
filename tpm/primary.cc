#include "tpm/primary.h"

#include <algorithm>
#include <span>

#include "tpm/esys_ptr.h"
#include "tpm/templates.h"

namespace keyward::tpm {
namespace {

// ESAPI salts sessions to the public area of the answer, which nothing may have authenticated. So
// the name, which will be pinned, is computed from that same public area.
Result<Bytes> CheckedName(Connection& connection, ESYS_TR primary, const TPM2B_PUBLIC& made,
                          const TPM2B_PUBLIC& wanted) {
  EsysPtr<TPM2B_NAME> reported;
  const Outcome outcome(Esys_TR_GetName(connection.get(), primary, EsysOut(reported)),
                        "Esys_TR_GetName");
  KEYWARD_TRY(outcome.Check());
  KEYWARD_ASSIGN(Bytes name, NameOf(made.publicArea));
  if (!IsMadeFrom(made.publicArea, wanted) ||
      !std::ranges::equal(name, std::span(reported->name, reported->size))) {
    return Fail(ErrorCode::kAuthenticationFailed,
                "the TPM made another primary key than it was asked for");
  }
  return name;
}

Error OwnerPasswordSet(const Outcome& outcome) {
  return outcome
      .As(ErrorCode::kPinRejected,
          "the owner hierarchy of the TPM has a password; remove it with "
          "tpm2_changeauth -c owner -p PASSWORD")
      .WithAction(Action::kProvision);
}

}  // namespace

Result<Primary> CreatePrimary(Connection& connection, ESYS_TR hierarchy, ESYS_TR authorization,
                              const TPM2B_PUBLIC& wanted) {
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA no_outside_info{};
  const TPML_PCR_SELECTION no_pcrs{};
  ESYS_TR handle = ESYS_TR_NONE;
  EsysPtr<TPM2B_PUBLIC> made;
  const auto command = [&] {
    return Esys_CreatePrimary(connection.get(), hierarchy, authorization, ESYS_TR_NONE,
                              ESYS_TR_NONE, &no_auth, &wanted, &no_outside_info, &no_pcrs, &handle,
                              EsysOut(made), nullptr, nullptr, nullptr);
  };
  constexpr std::string_view kCommand = "TPM2_CreatePrimary";
  const bool with_password = authorization == ESYS_TR_PASSWORD;
  const Outcome outcome = with_password ? connection.Run(kCommand, command)
                                        : connection.RunInSession(kCommand, command);
  if (outcome.fault() == Fault::kUnauthorized && hierarchy == ESYS_TR_RH_OWNER && with_password) {
    return Fail(OwnerPasswordSet(outcome));
  }
  KEYWARD_TRY(outcome.Check());
  EsysHandle owned(connection.get(), handle, EsysHandle::Ending::kFlush);
  KEYWARD_ASSIGN(Bytes name, CheckedName(connection, handle, *made, wanted));
  return Primary{std::move(owned), made->publicArea, std::move(name)};
}

}  // namespace keyward::tpm
