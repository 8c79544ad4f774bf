#include "core/vector_registers.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace keyward {
namespace {

#if defined(__x86_64__)

using Register = std::array<uint8_t, 64>;

// What two registers hold after ClearVectorRegisters, where they held ones before: one that all
// code uses, and one that only AVX-512 has.
struct Left {
  Register common;
  Register rare;
};

void LoadSse(const Register& value) { asm volatile("movdqu %0, %%xmm15" ::"m"(value) : "xmm15"); }

void StoreSse(Register& value) { asm volatile("movdqu %%xmm15, %0" : "=m"(value)); }

[[gnu::target("avx512f")]] void LoadAvx512(const Register& value) {
  asm volatile("vmovdqu64 %0, %%zmm15\n\tvmovdqu64 %0, %%zmm17" ::"m"(value) : "xmm15", "xmm17");
}

[[gnu::target("avx512f")]] void StoreAvx512(Left& left) {
  asm volatile("vmovdqu64 %%zmm15, %0\n\tvmovdqu64 %%zmm17, %1"
               : "=m"(left.common), "=m"(left.rare));
}

TEST(VectorRegistersTest, NothingIsLeftInThem) {
  Register ones{};
  ones.fill(0xff);
  Register left{};
  left.fill(0xff);
  LoadSse(ones);
  ClearVectorRegisters();
  StoreSse(left);
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(left.at(i), 0) << "byte " << i;
}

TEST(VectorRegistersTest, NothingIsLeftInThoseOfAvx512) {
  if (__builtin_cpu_supports("avx512f") == 0) {
    GTEST_SKIP() << "LOUD SKIP: this processor has no AVX-512";
  }
  Register ones{};
  ones.fill(0xff);
  Left left{ones, ones};
  LoadAvx512(ones);
  ClearVectorRegisters();
  StoreAvx512(left);
  EXPECT_EQ(left.common, Register{});
  EXPECT_EQ(left.rare, Register{});
}

#else

TEST(VectorRegistersTest, ClearingThemHarmsNothing) { ClearVectorRegisters(); }

#endif

}  // namespace
}  // namespace keyward
