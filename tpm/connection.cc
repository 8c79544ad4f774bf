#include "tpm/connection.h"

#include <tss2/tss2_tctildr.h>

namespace keyward::tpm {

bool ReachesTpmDirectly(std::string_view tcti) {
  constexpr std::string_view kRecorder = "pcap:";
  if (tcti.starts_with(kRecorder)) tcti.remove_prefix(kRecorder.size());
  if (tcti.starts_with("swtpm:") || tcti.starts_with("mssim:")) return true;
  return tcti.starts_with("device:/dev/tpm") && !tcti.starts_with("device:/dev/tpmrm");
}

void Connection::FinalizeTcti::operator()(TSS2_TCTI_CONTEXT* tcti) const {
  Tss2_TctiLdr_Finalize(&tcti);
}

Result<std::unique_ptr<Connection>> Connection::Open(const std::string& tcti) {
  TSS2_TCTI_CONTEXT* raw_tcti = nullptr;
  KEYWARD_TRY(
      Outcome(Tss2_TctiLdr_Initialize(tcti.c_str(), &raw_tcti), "TctiLdr_Initialize").Check());
  TctiPtr owned_tcti(raw_tcti);
  ESYS_CONTEXT* raw_esys = nullptr;
  KEYWARD_TRY(Outcome(Esys_Initialize(&raw_esys, raw_tcti, nullptr), "Esys_Initialize").Check());
  EsysContextPtr esys(raw_esys);

  std::unique_ptr<Connection> connection(
      new Connection(std::move(owned_tcti), std::move(esys), ReachesTpmDirectly(tcti)));
  if (connection->direct()) {
    const TSS2_RC rc = Esys_Startup(raw_esys, TPM2_SU_CLEAR);
    // TPM_RC_INITIALIZE: the firmware, or whoever was here before, has done it.
    if (rc != TPM2_RC_INITIALIZE) KEYWARD_TRY(Outcome(rc, "TPM2_Startup").Check());
  }
  return connection;
}

Connection::~Connection() {
  if (!direct_ || lost_) return;
  // Best effort: without it the TPM counts an unorderly shutdown, which harms none of our objects.
  static_cast<void>(
      Esys_Shutdown(esys_.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_SU_STATE));
}

Outcome Connection::Note(Outcome outcome) {
  const Fault fault = outcome.fault();
  if (fault == Fault::kGone || fault == Fault::kReset || fault == Fault::kNoRoom) lost_ = true;
  return outcome;
}

}  // namespace keyward::tpm
