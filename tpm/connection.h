// One conversation with a TPM: a TCTI and the ESYS_CONTEXT on top of it.
#pragma once

#include <tss2/tss2_esys.h>
#include <tss2/tss2_tcti.h>

#include <memory>
#include <string>

#include "tpm/response_code.h"

namespace keyward::tpm {

// True when `tcti` reaches the chip itself ("swtpm:...", "mssim:...", "device:/dev/tpm0", also
// behind "pcap:"), so that whatever is loaded in it is ours or a dead client's. A resource manager
// ("device:/dev/tpmrm0", "tabrmd:...") has other clients, and so may a name we do not know.
bool ReachesTpmDirectly(std::string_view tcti);

// One thread at a time.
class Connection {
 public:
  // Errors: kCustodianUnavailable.
  static Result<std::unique_ptr<Connection>> Open(const std::string& tcti);
  // Tells a TPM that is ours alone that we leave (TPM2_Shutdown), unless the connection is lost.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs one ESAPI call, `TSS2_RC command()`, again while the TPM asks for it, kMaxSubmissions
  // times at most. ESAPI itself has by then repeated it four times.
  template <class Command>
  Outcome Run(std::string_view name, Command command) {
    TSS2_RC rc = command();
    for (int i = 1; i < kMaxSubmissions && Classify(rc) == Fault::kTransient; ++i) rc = command();
    return Note(Outcome(rc, name));
  }

  // The same for a command that nothing authorises but a session of our own, with the owner's empty
  // password or with none: when the TPM refuses that, the session is out of step with it (somebody
  // held an answer back or changed it), and the connection is lost.
  template <class Command>
  Outcome RunInSession(std::string_view name, Command command) {
    const Outcome outcome = Run(name, command);
    if (outcome.fault() == Fault::kUnauthorized) lost_ = true;
    return outcome;
  }

  // True once the connection is of no more use: nobody answers, the TPM has forgotten our objects
  // and sessions, or it has no room left and has to be cleared of leaks.
  bool lost() const { return lost_; }
  bool direct() const { return direct_; }
  ESYS_CONTEXT* get() const { return esys_.get(); }

 private:
  struct FinalizeTcti {
    void operator()(TSS2_TCTI_CONTEXT* tcti) const;
  };
  struct FinalizeEsys {
    void operator()(ESYS_CONTEXT* esys) const { Esys_Finalize(&esys); }
  };
  using TctiPtr = std::unique_ptr<TSS2_TCTI_CONTEXT, FinalizeTcti>;
  using EsysContextPtr = std::unique_ptr<ESYS_CONTEXT, FinalizeEsys>;

  static constexpr int kMaxSubmissions = 4;

  Connection(TctiPtr tcti, EsysContextPtr esys, bool direct)
      : tcti_(std::move(tcti)), esys_(std::move(esys)), direct_(direct) {}
  Outcome Note(Outcome outcome);

  TctiPtr tcti_;  // ended after esys_, which uses it
  EsysContextPtr esys_;
  bool direct_;
  bool lost_ = false;
};

}  // namespace keyward::tpm
