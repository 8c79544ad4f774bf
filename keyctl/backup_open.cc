#include "keyctl/backup_open.h"

#include "keyctl/file.h"
#include "keyctl/secret_input.h"

namespace keyward::keyctl {
namespace {

constexpr size_t kMaxKeyFile = size_t{32} * 1024;
constexpr size_t kMaxPassphrase = 1024;

// As PEM says it, of PKCS #8 and of the older forms.
bool IsEncrypted(const SecretBytes& key) {
  return AsText(key.RevealSecret()).contains("ENCRYPTED");
}

Result<SecretBytes> PassphraseFor(Shell& shell, const SecretBytes& key, const std::string& file) {
  if (!file.empty()) return ReadSecretFile(file, kMaxPassphrase);
  if (!IsEncrypted(key)) return SecretBytes();
  return shell.AskSecret("Passphrase of the recovery key: ");
}

}  // namespace

void AddOpenOptions(CLI::App& command, OpenArguments& arguments) {
  command.add_option("FILE", arguments.file, "The backup")->required();
  command.add_option("--key", arguments.key_file, "The recovery key (PEM) that it was made for")
      ->type_name("FILE")
      ->required();
  command
      .add_option("--passphrase-file", arguments.passphrase_file,
                  "Holds the passphrase of the recovery key, instead of asking for it")
      ->type_name("FILE");
  command.add_option("--config", arguments.config, "security.yaml")->capture_default_str();
  command.add_option("--state", arguments.state, "keyd's state directory")->capture_default_str();
}

void AddCustodianOptions(CLI::App& command, OpenArguments& arguments) {
  command
      .add_option("--custodian", arguments.custodian,
                  "Where the master key goes, and every key whose own kind is not configured here")
      ->check(CLI::IsMember({"hsm", "tpm"}));
  command
      .add_option("--pcr-authority", arguments.pcr_authority,
                  "For a TPM: the public key (PEM, ECDSA P-256) of who signs PCR policies")
      ->type_name("FILE");
}

Result<RecoverySecrets> ReadRecoverySecrets(Shell& shell, const std::string& key_file,
                                            const std::string& passphrase_file) {
  RecoverySecrets secrets;
  KEYWARD_ASSIGN(secrets.key, ReadSecretFile(key_file, kMaxKeyFile));
  KEYWARD_ASSIGN(secrets.passphrase, PassphraseFor(shell, secrets.key, passphrase_file));
  return secrets;
}

Result<BackupOpener> BackupOpener::Create(Shell& shell, const OpenArguments& arguments) {
  KEYWARD_ASSIGN(RecoverySecrets secrets,
                 ReadRecoverySecrets(shell, arguments.key_file, arguments.passphrase_file));
  return BackupOpener(arguments, std::move(secrets));
}

Result<BackupReport> BackupOpener::Run(Shell& shell, const std::string& step) const {
  KEYWARD_ASSIGN(const UniqueFd backup, OpenFile(arguments_.file));
  KEYWARD_ASSIGN(const UniqueFd key, PipeWith(secrets_.key));
  UniqueFd passphrase;
  KeydCall call{.arguments = {"--config", arguments_.config, "--state", arguments_.state,
                              "--backup", step, "--backup-fd", "3", "--recovery-key-fd", "4"},
                .state_directory = arguments_.state,
                .descriptors = {backup.get(), key.get()}};
  static_assert(kFirstDescriptor == 3);
  const auto add = [&call](const char* option, const std::string& value) {
    if (!value.empty()) call.arguments.insert(call.arguments.end(), {option, value});
  };
  if (!secrets_.passphrase.empty()) {
    KEYWARD_ASSIGN(passphrase, PipeWith(secrets_.passphrase));
    call.descriptors.push_back(passphrase.get());
    add("--passphrase-fd", "5");
  }
  if (step != "show") {
    add("--init", arguments_.custodian);
    add("--pcr-authority", arguments_.pcr_authority);
  }
  KEYWARD_ASSIGN(const std::string answer, shell.RunKeyd(call));
  return ParseBackupReport(answer);
}

}  // namespace keyward::keyctl
