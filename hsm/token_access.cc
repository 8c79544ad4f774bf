#include "hsm/token_access.h"

#include <utility>

#include "hsm/pin_source.h"
#include "hsm/serial_pin.h"

namespace keyward::hsm {
namespace {

constexpr size_t kMaxTokenLabel = 32;

Result<void> CheckPinTries(CK_FLAGS flags) {
  if ((flags & CKF_USER_PIN_INITIALIZED) == 0) {
    return Fail(ErrorCode::kPinRejected,
                "the HSM token has no user PIN: initialise one with its own tools");
  }
  if ((flags & CKF_USER_PIN_LOCKED) != 0) {
    return Fail(ErrorCode::kLockedOut,
                "the user PIN of the HSM token is locked: have its security officer set a new one");
  }
  if ((flags & CKF_USER_PIN_FINAL_TRY) != 0) {
    return Fail(ErrorCode::kPinRejected,
                "one more wrong PIN would lock the HSM token, so none is tried: log in once by "
                "hand with its own tools, which resets the count");
  }
  return {};
}

// Whether it tells of a wrong PIN since the last right one.
bool CountsFailures(CK_FLAGS flags) {
  return (flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED)) != 0;
}

// What locked a PIN may be this very try, so it is not repeated once the PIN is unlocked.
bool SaysNoToThePin(ErrorCode code) {
  return code == ErrorCode::kPinRejected || code == ErrorCode::kLockedOut;
}

}  // namespace

TokenAccess::TokenAccess(HsmOptions options)
    : options_(std::move(options)), guard_(options_.state_directory) {}

Result<Session> TokenAccess::Open() {
  const size_t label_size = options_.token_label.size();
  if (options_.module_path.empty() || label_size == 0 || label_size > kMaxTokenLabel ||
      options_.state_directory.empty()) {
    return Fail(
        ErrorCode::kConfiguration,
        "the HSM needs a module path, a token label of 1 to 32 bytes and a state directory");
  }
  const std::scoped_lock lock(mutex_);
  const bool was_loaded = module_ != nullptr;
  KEYWARD_ASSIGN(const std::shared_ptr<HsmModule> module, Module());
  // A module may know the PIN as it was when it was loaded. Nobody is logged in who would miss it.
  if (was_loaded && guard_.HasRefused()) KEYWARD_TRY(module->Reload(module->generation()));
  const uint64_t generation = module->generation();
  Result<Session> session = OpenOn(module);
  if (session || session.error().code() != ErrorCode::kCustodianUnavailable || !was_loaded) {
    return session;
  }
  KEYWARD_TRY(module->Reload(generation));
  return OpenOn(module);
}

Result<std::shared_ptr<HsmModule>> TokenAccess::Module() {
  if (!module_) {
    KEYWARD_ASSIGN(module_, HsmModule::Load(options_.module_path));
  }
  return module_;
}

Result<Session> TokenAccess::OpenOn(const std::shared_ptr<HsmModule>& module) {
  KEYWARD_ASSIGN(const CK_SLOT_ID slot, FindToken(*module, options_.token_label));
  KEYWARD_ASSIGN(Session session, Session::Open(module, slot));
  KEYWARD_ASSIGN(const TokenState token, session.Token());
  KEYWARD_ASSIGN(const bool pinned, CheckSerial(options_.state_directory, token.serial));
  KEYWARD_TRY(LogIn(session, token));
  // Only now: a token that refused the PIN may not be the one that was meant.
  if (!pinned) KEYWARD_TRY(PinSerial(options_.state_directory, token.serial));
  return session;
}

Result<void> TokenAccess::LogIn(const Session& session, const TokenState& token) {
  KEYWARD_ASSIGN(const bool logged_in, session.LoggedIn());
  if (logged_in || (token.flags & CKF_LOGIN_REQUIRED) == 0) return {};
  KEYWARD_TRY(CheckPinTries(token.flags));
  KEYWARD_ASSIGN(const Pin pin, ReadPin(options_));
  const std::string attempt = token.serial + " " + pin.file_identity;
  KEYWARD_TRY(guard_.Prepare(attempt, CountsFailures(token.flags)));
  const Result<void> done = session.Login(pin.secret);
  if (done) {
    guard_.Succeed();
    return done;
  }
  if (!SaysNoToThePin(done.error().code())) {
    guard_.Forget();
    return done;
  }
  const Result<TokenState> after = session.Token();
  const bool counted = after && CountsFailures(after->flags);
  if (const Result<void> kept = guard_.Remember(attempt, counted); !kept) {
    return Fail(Error(done.error()).WithCause("not recorded: " + kept.error().cause()));
  }
  return done;
}

}  // namespace keyward::hsm
