// The reply to a call that is answered later.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "keyd/bus/bus_error.h"
#include "keyd/log.h"

namespace keyward::bus {

// Keeps the connection it will be sent on, which a bus that restarted may have replaced meanwhile.
// Copy freely between threads; Send on the bus thread alone, once. An answer that finds no bus any
// more is dropped, as its caller is gone with it.
template <class... Values>
class Reply {
 public:
  Reply(std::shared_ptr<sdbus::IConnection> connection, sdbus::Result<Values...>&& result)
      : state_(std::make_shared<State>(std::move(connection), std::move(result))) {}

  void Send(const Values&... values) const {
    Guard([&] { state_->result.returnResults(values...); });
  }
  void SendError(const Error& error) const {
    LogCause(error);
    Guard([&] { state_->result.returnError(ToBusError(error)); });
  }

 private:
  template <class Action>
  static void Guard(const Action& send) {
    try {
      send();
    } catch (const sdbus::Error& error) {
      Log(LogLevel::kWarning, "an answer does not reach its caller: {}", error.what());
    }
  }

  struct State {
    State(std::shared_ptr<sdbus::IConnection> c, sdbus::Result<Values...>&& r)
        : connection(std::move(c)), result(std::move(r)) {}
    std::shared_ptr<sdbus::IConnection> connection;
    sdbus::Result<Values...> result;  // before the connection in destruction
  };
  std::shared_ptr<State> state_;
};

}  // namespace keyward::bus
