#include "keyd/registry.h"

#include "core/encoding.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace keyward {
namespace {

using testing_support::FailsWith;

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK_AND_ASSIGN(store_, Store::Open(directory_.File("state.db"))); }
  // What is on disk.
  Registry Read() { return Registry::Create(*store_, store_->Load().value()).value(); }
  // RFC 8032, 7.1: the public keys of TEST 1 and TEST 2.
  static PublicKey PeerKey(int test) {
    return PublicKey::FromEd25519(
               FromHex(test == 1
                           ? "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
                           : "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
                   .value())
        .value();
  }

  testing_support::TempDir directory_;
  std::unique_ptr<Store> store_;
};

TEST_F(RegistryTest, WhatIsEnrolledLasts) {
  Registry registry = Read();
  ASSERT_OK(registry.EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(registry.EnrolPeer("remote", PeerKey(1)));
  const Registry after = Read();
  ASSERT_NE(after.IdentityOf("frontend"), nullptr);
  EXPECT_EQ(*after.IdentityOf("frontend"), "frontend-id");
  ASSERT_NE(after.PeerKey("remote"), nullptr);
  EXPECT_EQ(*after.PeerKey("remote"), PeerKey(1));
}

TEST_F(RegistryTest, WhatIsRemovedIsGone) {
  Registry registry = Read();
  ASSERT_OK(registry.EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(registry.EnrolPeer("remote", PeerKey(1)));
  ASSERT_OK(registry.RemoveModule("frontend"));
  ASSERT_OK(registry.RemovePeer("remote"));
  EXPECT_TRUE(registry.modules().empty());
  EXPECT_TRUE(registry.peers().empty());
  EXPECT_TRUE(Read().modules().empty());
  EXPECT_TRUE(Read().peers().empty());
}

TEST_F(RegistryTest, WhatIsNotEnrolledIsNotRemoved) {
  Registry registry = Read();
  EXPECT_THAT(registry.RemoveModule("frontend"), FailsWith(ErrorCode::kNotFound));
  EXPECT_THAT(registry.RemovePeer("remote"), FailsWith(ErrorCode::kNotFound));
}

TEST_F(RegistryTest, ANameIsAModulesOrAPeers) {
  Registry registry = Read();
  ASSERT_OK(registry.EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(registry.EnrolPeer("remote", PeerKey(1)));
  EXPECT_THAT(registry.EnrolPeer("frontend", PeerKey(1)), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_THAT(registry.EnrolModule("remote", "key"), FailsWith(ErrorCode::kAlreadyExists));
  EXPECT_EQ(Read().IdentityOf("remote"), nullptr);
}

TEST_F(RegistryTest, EnrollingAgainReplaces) {
  Registry registry = Read();
  ASSERT_OK(registry.EnrolPeer("remote", PeerKey(1)));
  ASSERT_OK(registry.EnrolPeer("remote", PeerKey(2)));
  ASSERT_OK(registry.EnrolModule("frontend", "old-id"));
  ASSERT_OK(registry.EnrolModule("frontend", "new-id"));
  EXPECT_EQ(*registry.PeerKey("remote"), PeerKey(2));
  EXPECT_EQ(*Read().PeerKey("remote"), PeerKey(2));
  EXPECT_EQ(*Read().IdentityOf("frontend"), "new-id");
}

TEST_F(RegistryTest, APeersIdentityIsEd25519) {
  // SEC 2, 2.4.2: the base point of P-256 is a point like any other.
  const Bytes base = FromHex(
                         "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                         "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
                         .value();
  ASSERT_OK_AND_ASSIGN(const PublicKey key, PublicKey::FromEcPoint(Algorithm::kEcdsaP256, base));
  Registry registry = Read();
  EXPECT_THAT(registry.EnrolPeer("remote", key), FailsWith(ErrorCode::kNotSupported));
}

TEST_F(RegistryTest, RemovingAnIdentityRemovesItsModulesForGood) {
  Registry registry = Read();
  ASSERT_OK(registry.EnrolModule("frontend", "frontend-id"));
  ASSERT_OK(registry.EnrolModule("backend", "backend-id"));
  ASSERT_OK(store_->DeleteKey("frontend-id"));
  registry.ForgetIdentity("frontend-id");
  EXPECT_EQ(registry.IdentityOf("frontend"), nullptr);
  EXPECT_EQ(Read().IdentityOf("frontend"), nullptr);
  EXPECT_NE(Read().IdentityOf("backend"), nullptr);
}

TEST_F(RegistryTest, APeerWhoseStoredKeyIsNoneIsRefused) {
  ASSERT_OK(store_->PutPeer({"remote", {1, 2, 3}}));
  EXPECT_FALSE(Registry::Create(*store_, store_->Load().value()));
}

}  // namespace
}  // namespace keyward
