// One measurement a run; bench/run sets the stage and puts the numbers together.
#include <sodium.h>

#include <CLI/CLI.hpp>

#include "bench/measure.h"
#include "bench/workloads.h"

int main(int argc, char** argv) {
  namespace bench = keyward::bench;
  if (sodium_init() < 0) return 1;
  CLI::App app{"Measures one thing and prints one number. bench/run is the way to use it."};
  app.require_subcommand(1);
  std::string key = "web";
  bench::TokenKey token;
  std::string state;
  const auto add_token = [&](CLI::App* command) {
    command->add_option("--module", token.module)->required();
    command->add_option("--token", token.label)->required();
    command->add_option("--pin-file", token.pin_file)->required();
  };
  CLI::App* sign_channel = app.add_subcommand("sign-channel", "P-256 signatures/s through keyd");
  sign_channel->add_option("--key", key);
  CLI::App* sign_module = app.add_subcommand("sign-module", "P-256 signatures/s by C_Sign");
  add_token(sign_module);
  CLI::App* seal_channel = app.add_subcommand("seal-channel", "16 KiB seals/s through keyd");
  CLI::App* seal_sodium = app.add_subcommand("seal-sodium", "16 KiB seals/s by libsodium");
  CLI::App* shake_keyd = app.add_subcommand("handshake-keyd", "AICO handshake, ms");
  CLI::App* shake_here = app.add_subcommand("handshake-in-process", "the same work alone, ms");
  add_token(shake_here);
  shake_here->add_option("--state", state)->required();
  size_t rounds = 1;
  CLI::App* revoke = app.add_subcommand("revoke", "Revoking with 10,000 sessions, ms");
  revoke->add_option("--rounds", rounds)->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  if (*revoke) return bench::Report(bench::RevokeTenThousandSessions(rounds));
  if (*sign_channel) return bench::Report(bench::SignOverChannel(key));
  if (*sign_module) return bench::Report(bench::SignWithModule(token));
  if (*seal_channel) return bench::Report(bench::SealOverChannel());
  if (*seal_sodium) return bench::Report(bench::SealWithSodium());
  if (*shake_keyd) return bench::Report(bench::HandshakeThroughKeyd());
  return bench::Report(bench::HandshakeInProcess(token, state));
}
