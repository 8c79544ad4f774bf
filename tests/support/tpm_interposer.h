// Somebody on the bus between the host and a TPM, who hears every command and changes the answers.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "core/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace keyward::testing_support {

// Passes on what goes between its own sockets and those of a software TPM.
class TpmInterposer {
 public:
  // Gets the command code (TPM 2.0 part 2, 6.5.2) and the TPM's response, which it may change;
  // false: the answer never arrives.
  using Hook = std::function<bool(uint32_t command_code, Bytes& response)>;

  // `tcti` is Swtpm::tcti(). Errors: kIo.
  static Result<std::unique_ptr<TpmInterposer>> Start(const std::string& tcti);
  ~TpmInterposer();
  TpmInterposer(const TpmInterposer&) = delete;
  TpmInterposer& operator=(const TpmInterposer&) = delete;

  std::string tcti() const { return "swtpm:path=" + Socket(); }
  // Called on the interposer's own thread, from the next answer on, while the TPM waits for nobody.
  void SetHook(Hook hook);

 private:
  struct Line {  // one connection and its other half
    UniqueFd host;
    UniqueFd tpm;
    bool is_control;
    Bytes command;
    Bytes response;
  };

  TpmInterposer() = default;
  std::string Socket() const { return folder_.File("tpm.sock"); }
  Result<void> Listen(const std::string& tpm_socket);
  void Run();
  void Accept(const UniqueFd& listener, bool is_control);
  // False once the line is cut.
  bool FromHost(Line& line);
  bool FromTpm(Line& line);
  bool Answer(Line& line);

  TempDir folder_;
  std::string tpm_socket_;
  UniqueFd commands_;
  UniqueFd control_;
  UniqueFd stop_;
  std::vector<std::unique_ptr<Line>> lines_;  // of the thread
  std::mutex mutex_;
  Hook hook_;
  std::thread thread_;
};

}  // namespace keyward::testing_support
