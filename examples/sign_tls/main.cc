// A key in hardware signs a TLS 1.3 CertificateVerify, and nothing but one.
//
// Writes what was signed, the signature and the public key to files, so that openssl can verify it:
//   openssl dgst -sha256 -verify DIR/public.pem -signature DIR/signature.bin DIR/payload.bin
#include <fmt/format.h>
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "api/client.h"

namespace keyward::example {
namespace {

constexpr size_t kTranscriptHashSize = 32;  // SHA-256, of TLS_AES_128_GCM_SHA256

// What a TLS 1.3 server signs (RFC 8446, 4.4.3): 64 spaces, the context, a zero byte, and the hash
// of the handshake up to here. A program with a real handshake puts its hash in; here it is random.
Bytes CertificateVerify() {
  Bytes payload(64, ' ');
  Append(payload, AsBytes("TLS 1.3, server CertificateVerify"));
  payload.push_back(0);
  Bytes transcript_hash(kTranscriptHashSize);
  randombytes_buf(transcript_hash.data(), transcript_hash.size());
  Append(payload, transcript_hash);
  return payload;
}

Result<void> WriteFile(const std::filesystem::path& path, ByteView content) {
  std::ofstream file(path, std::ios::binary);
  file << AsText(content);
  file.close();
  if (file) return {};
  return Fail(ErrorCode::kIo, "cannot write " + path.string());
}

Result<void> ShowRefusal(Key& key) {
  const Bytes other = ToBytes(AsBytes("Pay the bearer one million."));
  const Result<Bytes> refused = key.SignHandshake(Purpose::kTls13Server, other);
  if (refused) return Fail(ErrorCode::kInternal, "keyd signed what is no CertificateVerify");
  if (refused.error().code() != ErrorCode::kMalformed) return Fail(refused.error());
  std::cout << "refused to sign other bytes: " << refused.error().message() << '\n';
  return {};
}

Result<void> Run(const std::string& name, const std::filesystem::path& folder) {
  if (sodium_init() < 0) return Fail(ErrorCode::kInternal, "libsodium did not start");
  KEYWARD_ASSIGN(Client client, Client::Connect());
  KEYWARD_ASSIGN(Key key, client.OpenKey(name));
  KEYWARD_ASSIGN(const PublicKey public_key, key.GetPublicKey());
  const Bytes payload = CertificateVerify();
  KEYWARD_ASSIGN(const Bytes signature, key.SignHandshake(Purpose::kTls13Server, payload));
  KEYWARD_TRY(WriteFile(folder / "payload.bin", payload));
  KEYWARD_TRY(WriteFile(folder / "signature.bin", signature));
  KEYWARD_TRY(WriteFile(folder / "public.pem", AsBytes(public_key.ToPem())));
  std::cout << fmt::format("{} ({}) signed a TLS 1.3 CertificateVerify of {} bytes\n", name,
                           Name(public_key.algorithm()), payload.size());
  return ShowRefusal(key);
}

}  // namespace
}  // namespace keyward::example

int main(int argc, char** argv) {
  CLI::App app("Signs a TLS 1.3 CertificateVerify with a key that keyd keeps");
  app.footer("Examples:\n  keyward-example-sign-tls --key backend-tls --directory /tmp/signed");
  std::string key;
  std::string directory;
  app.add_option("--key", key, "The key that signs")->required();
  app.add_option("--directory", directory,
                 "Where payload.bin, signature.bin and public.pem are written")
      ->required()
      ->check(CLI::ExistingDirectory);
  CLI11_PARSE(app, argc, argv);
  const keyward::Result<void> done = keyward::example::Run(key, directory);
  if (done) return 0;
  std::cerr << fmt::format("keyward-example-sign-tls: {} — {}\n", done.error().message(),
                           keyward::Describe(done.error().action()));
  return 1;
}
