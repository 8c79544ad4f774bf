// A key on the bus. What it shows is public: names and public halves.
#pragma once

#include <string>
#include <vector>

#include "dbus/generated/adaptor.h"
#include "keyd/bus/context.h"

namespace keyward::bus {

class KeyObject final : public sdbus::AdaptorInterfaces<org::keyward::Keyd1::Key_adaptor> {
 public:
  // The key must be in the ring as long as the object lives.
  KeyObject(Context& context, std::string name);
  ~KeyObject();

 private:
  void SignHandshake(sdbus::Result<std::vector<uint8_t>>&& result, std::string purpose,
                     ByteArray payload) override;

  std::string Name() override;
  std::string Algorithm() override;
  std::string Custody() override;
  std::string Custodian() override;
  std::vector<uint8_t> PublicKey() override;
  std::vector<sdbus::Struct<uint32_t, std::string, std::vector<uint8_t>, uint64_t, uint64_t,
                            uint64_t, uint64_t>>
  Versions() override;

  const keyward::Key& key() const;
  // The key, for whoever reads a property and may see it in ListKeys. Throws sdbus::Error for
  // others.
  const keyward::Key& Shown();

  Context& context_;
  const std::string name_;
};

}  // namespace keyward::bus
