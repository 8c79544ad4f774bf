// An example module: authenticates its peer and talks to it, and never holds a key.
//
//   keyward-example-module --listen /run/x.sock --key backend-id --peer frontend
//   keyward-example-module --connect /run/x.sock --key frontend-id --peer backend --text hello
#include <fmt/core.h>
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <csignal>

#include "examples/module/conversation.h"
#include "examples/module/unix_socket.h"

namespace keyward::example {
namespace {

struct Arguments {
  std::string listen;
  std::string connect;
  std::string key;
  std::string peer;
  std::string text;
  std::string send_file;
  std::string receive_file;
  bool keep_talking = false;
  bool json = false;
};

Result<void> Talk(const Arguments& arguments, Conversation& conversation) {
  if (arguments.connect.empty()) return conversation.Answer(arguments.receive_file);
  if (!arguments.text.empty()) KEYWARD_TRY(conversation.ExchangeText(arguments.text));
  if (!arguments.send_file.empty()) KEYWARD_TRY(conversation.SendFile(arguments.send_file));
  if (arguments.keep_talking) return conversation.KeepTalking();
  return {};
}

// The session's or the connection's end is how a conversation ends; anything else is a failure.
bool IsEnd(const Error& error) {
  return error.code() == ErrorCode::kSessionClosed || error.code() == ErrorCode::kRevoked ||
         error.code() == ErrorCode::kExpired;
}

Result<void> Run(const Arguments& arguments, const Report& report) {
  const bool initiates = arguments.listen.empty();
  KEYWARD_ASSIGN(UniqueFd socket,
                 initiates ? ConnectTo(arguments.connect) : AcceptOne(arguments.listen));
  KEYWARD_ASSIGN(SocketStream stream, SocketStream::Create(std::move(socket)));
  const auto start = std::chrono::steady_clock::now();
  KEYWARD_ASSIGN(Client client, Client::Connect());
  KEYWARD_ASSIGN(Session session,
                 client.OpenSession({.key = arguments.key,
                                     .protocol = "aico",
                                     .role = initiates ? Role::kInitiator : Role::kResponder,
                                     .peer = arguments.peer,
                                     .lifetime = {}}));
  KEYWARD_TRY(session.Handshake(stream));
  report.Say("established",
             fmt::format("session with {} established in {}", arguments.peer, Since(start)),
             session.id());
  Conversation conversation(session, stream, report);
  const Result<void> talked = Talk(arguments, conversation);
  if (talked || !IsEnd(talked.error())) return talked;
  report.Say("closed", fmt::format("the session has ended: {}", talked.error().message()),
             Name(talked.error().code()));
  return {};
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{
      "An example module: talks to its peer over a session that keyd keeps the keys of.\n"
      "Examples:\n"
      "  keyward-example-module --listen /tmp/x.sock --key backend-id --peer frontend\n"
      "  keyward-example-module --connect /tmp/x.sock --key frontend-id --peer backend --text hi"};
  auto* sockets = app.add_option_group("socket");
  sockets->add_option("--listen", arguments.listen, "wait for the peer at this Unix socket");
  sockets->add_option("--connect", arguments.connect, "reach the peer at this Unix socket");
  sockets->require_option(1);
  app.add_option("--key", arguments.key, "this module's identity key")->required();
  app.add_option("--peer", arguments.peer, "who must be at the other end")->required();
  app.add_option("--text", arguments.text, "send a text (with --connect)");
  app.add_option("--send-file", arguments.send_file, "send a file (with --connect)");
  app.add_option("--receive-file", arguments.receive_file, "where a file goes (with --listen)");
  app.add_flag("--keep-talking", arguments.keep_talking, "until the session ends");
  app.add_flag("--json", arguments.json, "one JSON object a line, for scripts");
  CLI11_PARSE(app, argc, argv);
  if (sodium_init() < 0 || std::signal(SIGPIPE, SIG_IGN) == SIG_ERR) return 1;
  const Report report(arguments.json);
  const Result<void> ran = Run(arguments, report);
  if (ran) return 0;
  fmt::print(stderr, "{}: {}\n", argv[0], ran.error().ToString());
  return 1;
}

}  // namespace
}  // namespace keyward::example

int main(int argc, char** argv) { return keyward::example::Main(argc, argv); }
