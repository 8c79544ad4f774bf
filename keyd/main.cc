// keyd: the one place where Keyward's parts are wired together.
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <thread>

#include "core/file.h"
#include "core/last_failure.h"
#include "core/secret_memory.h"
#include "keyd/audit_end.h"
#include "keyd/audit_opening.h"
#include "keyd/audit_readers.h"
#include "keyd/custodians.h"
#include "keyd/daemon_loop.h"
#include "keyd/initialise.h"
#include "keyd/log.h"
#include "keyd/process.h"
#include "keyd/recover.h"
#include "keyd/restore_mark.h"
#include "keyd/version.h"
#include "policy/security_yaml.h"
#include "policy/system_names.h"

namespace keyward {
namespace {

// Exit codes, as keyd(8) has them.
constexpr int kCannotStart = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string config = "/etc/keyward/security.yaml";
  std::string state = "/var/lib/keyward";
  std::string init_custodian;  // empty: serve
  std::string pcr_authority;
  bool adopt = false;
  bool restart_audit = false;
  std::string backup_step;  // empty: nothing with a backup
  std::string reseal_step;  // empty: nothing with the second seal
  backup::RecoveryInput input;
};

Result<policy::Policy> ReadPolicy(const std::string& path) {
  KEYWARD_ASSIGN(const std::string text, ReadTextFile(path, policy::kMaxSecurityYaml));
  Result<policy::Policy> policy = policy::ReadSecurityYaml(text, policy::SystemNames());
  if (!policy) return Fail(policy.error().code(), path + ": " + policy.error().message());
  return policy;
}

// tpm2-tss writes lines of its own to standard error, past keyd's log, which tells the same
// failures with their causes. An operator who asks for them gets them.
Result<void> SilenceTpmLibrary() {
  constexpr int kUnlessSet = 0;
  if (setenv("TSS2_LOG", "all+NONE", kUnlessSet) == 0) return {};
  return Fail(ErrorCode::kResourceExhausted, "there is no memory for the environment");
}

// Whether all have ended. Hardware that hangs keeps its thread, which nothing can stop, and then
// the process has to end with it: what is left over goes on to use `pools`.
bool StopAll(KeyRingPools& pools) {
  constexpr std::chrono::seconds kPatience{5};
  const auto ended = std::make_shared<std::promise<void>>();
  std::thread stopper([&pools, ended] {
    for (auto& [name, pool] : pools) pool->Stop();
    ended->set_value();
  });
  const bool all = ended->get_future().wait_for(kPatience) == std::future_status::ready;
  if (all) {
    stopper.join();
  } else {
    stopper.detach();
  }
  return all;
}

// Everything that lives as long as the service. In order: what is last goes first.
Result<void> ServeLocked(const Arguments& arguments) {
  KEYWARD_ASSIGN(const SecretMemoryKind memory, ProbeSecretMemory());
  KEYWARD_ASSIGN(policy::Policy policy, ReadPolicy(arguments.config));
  KEYWARD_ASSIGN(const UniqueFd signals, CatchSignals());
  const SystemClock clock;
  SystemRng rng;
  KEYWARD_ASSIGN(const std::unique_ptr<PostQueue> posts, PostQueue::Create());
  const auto post = [&posts](std::function<void()> work) { posts->Post(std::move(work)); };
  SessionTable sessions;
  SessionTokens tokens(sessions, clock);
  AuditTrail trail(clock, rng);
  KEYWARD_ASSIGN(KeyRingPools pools, MakeCustodians(policy, arguments.state, clock, rng));
  KEYWARD_ASSIGN(const std::unique_ptr<ChannelServer> channels,
                 ChannelServer::Create(std::max(1U, std::thread::hardware_concurrency())));
  std::optional<PcrSelection> attested;
  if (policy.tpm()) attested = policy.tpm()->attest_pcrs;
  Daemon daemon{.clock = clock,
                .rng = rng,
                .pools = pools,
                .sessions = sessions,
                .channels = *channels,
                .audit = trail,
                .tokens = tokens,
                .post = post,
                .policy = std::make_shared<const policy::Policy>(std::move(policy)),
                .boot = Boot::Begin(std::move(attested), rng)};
  KEYWARD_ASSIGN(const std::unique_ptr<Unsealer> unsealer,
                 Unsealer::Create(daemon, arguments.state));
  Attestation attestation(daemon);
  HardwareWatch watch(daemon, *unsealer, attestation);
  Service service(daemon);
  AdminService admin(daemon, service, *unsealer, attestation,
                     [&arguments] { return ReadPolicy(arguments.config); });
  backup::BackupService backups(daemon, arguments.state);
  SecondSealService second_seal(daemon, *unsealer, arguments.state);
  AuditReaders readers(trail, arguments.state);
  bus::BusServer bus({daemon, service, admin, backups, second_seal, readers, clock.Monotonic()});
  Log(LogLevel::kNotice, "keyd {} starts, secrets in {}", kVersionText,
      memory == SecretMemoryKind::kMemfdSecret ? "memfd_secret pages" : "locked pages");
  const Result<void> ran =
      DaemonLoop({daemon, admin, *unsealer, attestation, watch, bus, *posts, signals}).Run();
  unsealer->Stop();
  sessions.EndWhere([](const SessionInfo&) { return true; },
                    Error(ErrorCode::kSessionClosed, "keyd is shutting down"));
  // Threads stop before what their work refers to; the channels' first, as they make work for the
  // custodians'.
  channels->Stop();
  service.endings().Record();
  EndAudit(daemon, *posts);
  const bool idle = StopAll(pools);
  if (daemon.vault != nullptr) daemon.vault->schedule().WriteNotes();
  daemon.vault.reset();  // whose callers the bus still answers
  if (!idle) {
    LogLine(LogLevel::kWarning, "keyd ends without its hardware, which does not answer");
    std::_Exit(ran ? EXIT_SUCCESS : kCannotStart);
  }
  KEYWARD_TRY(ran);
  LogLine(LogLevel::kNotice, "keyd has stopped");
  return {};
}

// What a keyd that was killed has left half written; in nobody's way but for its space.
void SweepDrafts(const std::string& state) {
  const Result<size_t> removed = RemoveDrafts(state);
  if (!removed) {
    return LogError("removing what a keyd before has left half written", removed.error());
  }
  if (*removed > 0) Log(LogLevel::kNotice, "removed {} files left half written", *removed);
}

// A keyd that cannot serve leaves word for keyctl doctor, where it can.
Result<void> Serve(const Arguments& arguments) {
  KEYWARD_TRY(SilenceTpmLibrary());
  KEYWARD_TRY(HardenProcess());
  KEYWARD_ASSIGN(const UniqueFd lock, LockDirectory(arguments.state));
  SweepDrafts(arguments.state);
  if (const Result<void> forgotten = ForgetLastFailure(arguments.state); !forgotten) {
    LogError("forgetting why the last keyd ended", forgotten.error());
  }
  Result<void> served = ServeLocked(arguments);
  if (served) return served;
  if (const Result<void> kept = WriteLastFailure(arguments.state, served.error()); !kept) {
    LogError("keeping why keyd ends", kept.error());
  }
  return served;
}

Result<Initialisation> WantedBy(const Arguments& arguments) {
  Initialisation wanted{
      .custodian = arguments.init_custodian, .authority = std::nullopt, .adopt = arguments.adopt};
  if (!arguments.pcr_authority.empty()) {
    KEYWARD_ASSIGN(const std::string pem, ReadTextFile(arguments.pcr_authority, kMaxPem));
    KEYWARD_ASSIGN(wanted.authority, PublicKey::FromPem(pem));
  }
  return wanted;
}

// keyctl init: makes the master key, and ends.
Result<void> Initialise(const Arguments& arguments) {
  KEYWARD_TRY(SilenceTpmLibrary());
  KEYWARD_TRY(HardenProcess());
  KEYWARD_TRY(ProbeSecretMemory());
  KEYWARD_ASSIGN(const policy::Policy policy, ReadPolicy(arguments.config));
  KEYWARD_ASSIGN(const UniqueFd lock, LockDirectory(arguments.state));
  KEYWARD_TRY(RemoveRestoreMarkUnlessMade(arguments.state));
  const SystemClock clock;
  SystemRng rng;
  KEYWARD_ASSIGN(KeyRingPools pools, MakeCustodians(policy, arguments.state, clock, rng));
  KEYWARD_ASSIGN(const Initialisation wanted, WantedBy(arguments));
  return Initialise(wanted, pools, arguments.state, rng);
}

Result<std::string> RunBackupStep(const Arguments& arguments) {
  if (arguments.backup_step == "show") return ShowBackup(arguments.input);
  KEYWARD_ASSIGN(const policy::Policy policy, ReadPolicy(arguments.config));
  KEYWARD_ASSIGN(Initialisation wanted, WantedBy(arguments));
  SystemRng rng;
  return Recover({.input = arguments.input,
                  .state_directory = arguments.state,
                  .wanted = std::move(wanted),
                  .for_good = arguments.backup_step == "restore"},
                 policy, rng);
}

// keyctl backup restore and drill: prints what it came to, and ends.
Result<void> OpenBackup(const Arguments& arguments) {
  KEYWARD_TRY(SilenceTpmLibrary());
  KEYWARD_TRY(HardenProcess());
  KEYWARD_TRY(ProbeSecretMemory());
  KEYWARD_ASSIGN(const std::string report, RunBackupStep(arguments));
  fmt::print("{}\n", report);
  return {};
}

// keyctl master reseal: prints what it came to, and ends.
Result<void> Reseal(const Arguments& arguments) {
  KEYWARD_TRY(SilenceTpmLibrary());
  KEYWARD_TRY(HardenProcess());
  KEYWARD_TRY(ProbeSecretMemory());
  KEYWARD_ASSIGN(const policy::Policy policy, ReadPolicy(arguments.config));
  KEYWARD_ASSIGN(const Initialisation wanted, WantedBy(arguments));
  SystemRng rng;
  KEYWARD_ASSIGN(const std::string report,
                 ResealMaster({.custodian = wanted.custodian,
                               .authority = wanted.authority,
                               .input = arguments.input,
                               .for_good = arguments.reseal_step == "move"},
                              arguments.state, policy, rng));
  fmt::print("{}\n", report);
  return {};
}

// keyctl audit restart: no hardware is asked, and no log is opened. Prints where the former log is.
Result<void> RestartTheAudit(const Arguments& arguments) {
  KEYWARD_TRY(HardenProcess());
  KEYWARD_ASSIGN(const UniqueFd lock, LockDirectory(arguments.state));
  KEYWARD_ASSIGN(const std::filesystem::path former, RestartAudit(arguments.state));
  fmt::print("{}\n", former.string());
  return {};
}

// What keyd is to do, and what it says it cannot do when it fails.
struct Work {
  Result<void> (*run)(const Arguments&);
  const char* failure;
};

Work WorkOf(const Arguments& arguments) {
  if (!arguments.backup_step.empty()) return {OpenBackup, "cannot open the backup"};
  if (!arguments.reseal_step.empty()) return {Reseal, "cannot reseal the master key"};
  if (arguments.restart_audit) return {RestartTheAudit, "cannot restart the audit log"};
  if (!arguments.init_custodian.empty()) return {Initialise, "cannot initialise"};
  return {Serve, "cannot start"};
}

void AddRecoveryOptions(CLI::App& app, Arguments& arguments) {
  app.add_option("--backup", arguments.backup_step, "open a backup, and end; keyctl backup does it")
      ->check(CLI::IsMember({"show", "rehearse", "restore"}));
  app.add_option("--backup-fd", arguments.input.backup, "with --backup: its open descriptor");
  app.add_option("--recovery-key-fd", arguments.input.key,
                 "with --backup or --reseal: the recovery key's, PEM");
  app.add_option("--passphrase-fd", arguments.input.passphrase,
                 "with --recovery-key-fd: the one that the key's passphrase is read from");
  app.add_option("--reseal", arguments.reseal_step,
                 "with --init: give the master key a new home by its second seal, and end; keyctl "
                 "master reseal does it")
      ->check(CLI::IsMember({"show", "move"}))
      ->needs("--init");
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app(
      "keyd keeps keys in a TPM or HSM and hands out sessions over D-Bus.\n"
      "Bus: the system bus, or the one at DBUS_SYSTEM_BUS_ADDRESS.\n"
      "Example: keyd --config /etc/keyward/security.yaml --state /var/lib/keyward",
      "keyd");
  app.add_option("--config", arguments.config, "security.yaml")->capture_default_str();
  app.add_option("--state", arguments.state, "directory of keyd's own (mode 0700)")
      ->capture_default_str();
  app.add_option("--init", arguments.init_custodian,
                 "make the master key in this custodian, and end; keyctl init does it")
      ->check(CLI::IsMember({"hsm", "tpm"}));
  app.add_option("--pcr-authority", arguments.pcr_authority,
                 "with --init tpm: public key (PEM) of who signs PCR policies")
      ->needs("--init");
  app.add_flag("--adopt", arguments.adopt,
               "with --init: take over a state.db that has no master key yet")
      ->needs("--init");
  AddRecoveryOptions(app, arguments);
  app.add_flag("--restart-audit", arguments.restart_audit,
               "go on without an audit log that lacks records, and end; keyctl audit restart does "
               "it");
  app.set_version_flag("--version", kVersionText);
  app.callback([&arguments] {
    // Both seal what is in the backup, somewhere.
    const std::string& step = arguments.backup_step;
    if (step.empty() || step == "show" || !arguments.init_custodian.empty()) return;
    throw CLI::RequiresError("--backup " + step, "--init");
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wanted) {  // or asked for: --help, --version
    return app.exit(wanted) == 0 ? 0 : kUsage;
  }
  if (sodium_init() < 0) {
    LogLine(LogLevel::kError, "libsodium does not start");
    return kCannotStart;
  }
  const Work work = WorkOf(arguments);
  const Result<void> done = work.run(arguments);
  if (done) return 0;
  LogError(work.failure, done.error(), LogLevel::kError);
  // For keyctl, which tells the admin.
  if (work.run != Serve) fmt::print("{} {}\n", Name(done.error().code()), done.error().message());
  return kCannotStart;
}

}  // namespace
}  // namespace keyward

int main(int argc, char** argv) { return keyward::Main(argc, argv); }
