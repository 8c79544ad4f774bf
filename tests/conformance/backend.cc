#include "tests/conformance/conformance_test.h"

namespace keyward::conformance {

std::vector<BackendKind>& BackendKinds() {
  static std::vector<BackendKind> kinds;
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(, BackendConformance, ::testing::ValuesIn(BackendKinds()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace keyward::conformance
