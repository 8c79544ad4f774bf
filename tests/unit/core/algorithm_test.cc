#include "core/algorithm.h"

#include "tests/support/matchers.h"

namespace keyward {
namespace {

TEST(AlgorithmTest, CustodiesHaveNamesThatTheyAreFoundUnder) {
  for (const auto& [custody, name] :
       {std::pair(Custody::kHardware, "hardware"), std::pair(Custody::kSealed, "sealed"),
        std::pair(Custody::kDerived, "derived")}) {
    EXPECT_EQ(Name(custody), name);
    EXPECT_EQ(CustodyFromName(name), custody);
  }
  EXPECT_EQ(CustodyFromName("unknown"), std::nullopt);
  EXPECT_EQ(CustodyFromName("Derived"), std::nullopt);
  EXPECT_EQ(CustodyFromName(""), std::nullopt);
}

TEST(AlgorithmTest, AlgorithmsHaveNamesThatTheyAreFoundUnder) {
  for (const Algorithm algorithm : {Algorithm::kEd25519, Algorithm::kEcdsaP256,
                                    Algorithm::kEcdsaP384, Algorithm::kRsaPss2048}) {
    EXPECT_EQ(AlgorithmFromName(Name(algorithm)), algorithm);
  }
  EXPECT_EQ(AlgorithmFromName("unknown"), std::nullopt);
}

}  // namespace
}  // namespace keyward
