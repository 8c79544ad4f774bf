// A module of Keyward: opens a session with its peer over a Unix socket, without ever holding a
// key.
//
// docs/PROTOCOLS.md has what goes over the socket, examples/python/module.py the same in Python.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "api/client.h"
#include "examples/module/conversation.h"
#include "examples/module/socket.h"

namespace keyward::example {
namespace {

struct Options {
  std::string listen;
  std::string connect;
  std::string key;
  std::string peer;
  uint32_t lifetime = 0;  // seconds
  bool events = false;
  Script script;
};

void Declare(CLI::App& app, Options& options) {
  CLI::Option_group* role = app.add_option_group("Role", "One of these");
  role->add_option("--listen", options.listen, "Wait on this Unix socket, as responder");
  role->add_option("--connect", options.connect, "Connect to this Unix socket, as initiator");
  role->require_option(1);
  app.add_option("--key", options.key, "The key that is this module's identity")->required();
  app.add_option("--peer", options.peer, "The module at the other end")->required();
  app.add_option("--lifetime", options.lifetime, "Seconds that the session may last at most");
  app.add_option("--say", options.script.say, "Send this text; may be given several times");
  app.add_option("--send-file", options.script.send_file, "Send this file");
  app.add_option("--receive-file", options.script.receive_file, "Where a file that comes goes");
  app.add_flag(
      "--chat-until-closed", options.script.chat_until_closed,
      "Then go on with a small message every 50 ms until the session ends; give it at both ends");
  app.add_option("--rekey-every", options.script.rekey_every,
                 "In a chat, move to a fresh key after so many messages");
  app.add_flag("--events", options.events, "Tell what happens as JSON, one object a line");
}

// Nothing when a signal came while it waited.
Result<UniqueFd> AcceptOne(const Options& options, Reporter& reporter) {
  const Signals signals;
  KEYWARD_ASSIGN(const UniqueFd listener, Listen(options.listen));
  reporter.Listening(options.listen);
  const bool connected = signals.WaitForInput(listener.get());
  unlink(options.listen.c_str());
  if (!connected) return UniqueFd();
  return Accept(listener.get());
}

Result<void> Run(const Options& options) {
  Reporter reporter(std::cout, options.events);
  KEYWARD_ASSIGN(Client client, Client::Connect());
  const bool initiator = !options.connect.empty();
  KEYWARD_ASSIGN(UniqueFd connection,
                 initiator ? Connect(options.connect) : AcceptOne(options, reporter));
  if (!connection) return {};
  KEYWARD_ASSIGN(SocketStream stream, SocketStream::Create(std::move(connection)));

  const auto begun = std::chrono::steady_clock::now();
  KEYWARD_ASSIGN(Session session,
                 client.OpenSession({.key = options.key,
                                     .role = initiator ? Role::kInitiator : Role::kResponder,
                                     .peer = options.peer,
                                     .lifetime = std::chrono::seconds(options.lifetime)}));
  KEYWARD_TRY(session.Handshake(stream));
  reporter.Established(options.peer, session.id(),
                       std::chrono::duration_cast<std::chrono::microseconds>(
                           std::chrono::steady_clock::now() - begun));
  return Conversation(std::move(session), std::move(stream), reporter, options.script).Run();
}

}  // namespace
}  // namespace keyward::example

int main(int argc, char** argv) {
  CLI::App app("An example module of Keyward: talks with a peer in a session that keyd runs");
  app.footer(
      "Examples:\n"
      "  keyward-example-module --listen /run/b.sock --key backend-id --peer frontend\n"
      "  keyward-example-module --connect /run/b.sock --key frontend-id --peer backend --say "
      "hello");
  keyward::example::Options options;
  keyward::example::Declare(app, options);
  CLI11_PARSE(app, argc, argv);
  const keyward::Result<void> done = keyward::example::Run(options);
  if (done) return 0;
  std::cerr << fmt::format("keyward-example-module: {} — {}\n", done.error().message(),
                           keyward::Describe(done.error().action()));
  return 1;
}
