// A protocol whose handshake is one signature, and whose messages are what they say.
#pragma once

#include <functional>
#include <string>

#include "session/engine.h"

namespace keyward::testing_support {

// What a test sees and steers from outside. Outlives the engine.
struct EngineScript {
  bool destroyed = false;
  std::function<void()> before_signing;
};

class FakeEngine final : public session::Engine {
 public:
  // Fails a step with this input.
  static constexpr std::string_view kBadMessage = "bad";

  explicit FakeEngine(EngineScript& script) : script_(script) {}
  ~FakeEngine() override { script_.destroyed = true; }

  Result<session::StepResult> Step(ByteView input, const session::SignTranscript& sign) override {
    if (AsText(input) == kBadMessage) return Fail(ErrorCode::kMalformed, "not a handshake");
    if (script_.before_signing) script_.before_signing();
    KEYWARD_ASSIGN(Bytes signature, sign(input));
    established_ = true;
    return session::StepResult{std::move(signature), true};
  }
  Result<void> Seal(ByteView plaintext, std::string_view, Bytes& frame) override {
    frame = ToBytes(plaintext);
    return {};
  }
  Result<void> Open(ByteView frame, Bytes& plaintext, std::string& metadata) override {
    if (AsText(frame) == kBadMessage) return Fail(ErrorCode::kAuthenticationFailed, "not ours");
    plaintext = ToBytes(frame);
    metadata.clear();
    return {};
  }
  Result<void> Rekey() override { return {}; }
  bool established() const override { return established_; }

 private:
  EngineScript& script_;
  bool established_ = false;
};

}  // namespace keyward::testing_support
