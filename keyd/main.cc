// keyd: the one place where Keyward's parts are wired together.
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <thread>

#include "core/secret_memory.h"
#include "keyd/custodians.h"
#include "keyd/daemon_loop.h"
#include "keyd/log.h"
#include "keyd/process.h"
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

// Everything that lives as long as the service. In order: what is last goes first.
Result<void> Serve(const Arguments& arguments) {
  KEYWARD_TRY(SilenceTpmLibrary());
  KEYWARD_TRY(HardenProcess());
  KEYWARD_ASSIGN(const SecretMemoryKind memory, ProbeSecretMemory());
  KEYWARD_ASSIGN(policy::Policy policy, ReadPolicy(arguments.config));
  KEYWARD_ASSIGN(const UniqueFd lock, LockDirectory(arguments.state));
  KEYWARD_ASSIGN(const UniqueFd signals, CatchSignals());
  const SystemClock clock;
  SystemRng rng;
  KEYWARD_ASSIGN(const std::unique_ptr<Store> store, Store::Open(arguments.state + "/state.db"));
  KEYWARD_ASSIGN(const StoredState state, store->Load());
  KEYWARD_ASSIGN(const std::unique_ptr<PostQueue> posts, PostQueue::Create());
  const auto post = [&posts](std::function<void()> work) { posts->Post(std::move(work)); };
  KEYWARD_ASSIGN(Registry registry, Registry::Create(*store, state));
  SessionTable sessions;
  KEYWARD_ASSIGN(KeyRingPools pools, MakeCustodians(policy, arguments.state, clock, rng));
  KEYWARD_ASSIGN(const std::unique_ptr<KeyRing> keys,
                 KeyRing::Create({*store, pools, clock, rng, post}, state));
  KEYWARD_ASSIGN(const std::unique_ptr<ChannelServer> channels,
                 ChannelServer::Create(std::max(1U, std::thread::hardware_concurrency())));
  Daemon daemon{.clock = clock,
                .rng = rng,
                .pools = pools,
                .keys = *keys,
                .registry = registry,
                .sessions = sessions,
                .channels = *channels,
                .post = post,
                .policy = std::make_shared<const policy::Policy>(std::move(policy))};
  Service service(daemon);
  AdminService admin(daemon, service, [&arguments] { return ReadPolicy(arguments.config); });
  bus::BusServer bus({daemon, service, admin, clock.Monotonic()});
  KEYWARD_TRY(bus.Connect());
  Log(LogLevel::kNotice, "keyd {} serves: {} keys, secrets in {}", kVersionText,
      keys->keys().size(),
      memory == SecretMemoryKind::kMemfdSecret ? "memfd_secret pages" : "locked pages");
  DaemonLoop({daemon, admin, bus, *posts, signals}).Run();
  sessions.EndWhere([](const SessionInfo&) { return true; },
                    Error(ErrorCode::kSessionClosed, "keyd is shutting down"));
  // Threads stop before what their work refers to; the channels' first, as they make work for the
  // custodians'.
  channels->Stop();
  for (auto& [name, pool] : pools) pool->Stop();
  LogLine(LogLevel::kNotice, "keyd has stopped");
  return {};
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
  app.set_version_flag("--version", kVersionText);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wanted) {  // or asked for: --help, --version
    return app.exit(wanted) == 0 ? 0 : kUsage;
  }
  if (sodium_init() < 0) {
    LogLine(LogLevel::kError, "libsodium does not start");
    return kCannotStart;
  }
  const Result<void> served = Serve(arguments);
  if (served) return 0;
  LogError("cannot start", served.error(), LogLevel::kError);
  return kCannotStart;
}

}  // namespace
}  // namespace keyward

int main(int argc, char** argv) { return keyward::Main(argc, argv); }
