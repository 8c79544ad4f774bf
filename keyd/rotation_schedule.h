// What becomes due with keys by itself: their rotation by age and use, the end of grace periods.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "keyd/key_ring.h"

namespace keyward {

// Belongs to the bus thread. What it refers to outlives it.
class RotationSchedule {
 public:
  RotationSchedule(KeyRing& keys, Journal& journal, const Clock& clock, RotationRulesOf rules)
      : keys_(keys), journal_(journal), clock_(clock), rules_(std::move(rules)) {}

  // Does what is due, and WriteNotes now and then. To be called every few seconds.
  void Tick();
  // Writes down how often keys have signed, and how far the time has come that they age by: a crash
  // forgets the last minute of both.
  void WriteNotes();

 private:
  void RotateIfDue(const std::string& name, const Key& key);
  // "its age" or "its number of signatures"; null when it is not due.
  const char* WhyDue(const std::string& name, const KeyVersion& active) const;
  bool MayTry(const std::string& name);
  std::vector<VersionUses> ChangedUses();

  KeyRing& keys_;
  Journal& journal_;
  const Clock& clock_;
  const RotationRulesOf rules_;
  std::map<std::string, MonotonicTime, std::less<>> next_try_;
  std::map<KeyId, uint64_t> written_uses_;
  MonotonicTime next_notes_;
};

}  // namespace keyward
