#include "core/encoding.h"
#include "tests/unit/session/aico_fixture.h"

namespace keyward::session {
namespace {

using testing_support::FailsWith;

class AicoMessageTest : public AicoFixture {
 protected:
  void SetUp() override { Connect(*a_, *b_); }

  // A frame that fails leaves no plaintext, no metadata, and the session where it was.
  void ExpectRefused(ByteView frame, ErrorCode code) const {
    Bytes plaintext = {'o', 'l', 'd'};
    std::string metadata = "old";
    EXPECT_THAT(b_->Open(frame, plaintext, metadata), FailsWith(code));
    EXPECT_TRUE(plaintext.empty());
    EXPECT_TRUE(metadata.empty());
  }

  EnginePtr a_ = Initiator();
  EnginePtr b_ = Responder();
};

TEST_F(AicoMessageTest, FrameHasTheDocumentedLayout) {
  const Bytes frame = SealWith(*a_, "hello", R"({"to":"x"})");
  Reader reader(frame);
  EXPECT_EQ(AsText(reader.Raw(8).value()), "AICO-MSG");
  ASSERT_OK(reader.Raw(24));
  const ByteView metadata = reader.Field<uint32_t>().value();
  EXPECT_EQ(AsText(metadata), R"({"seq":0,"epoch":0,"to":"x"})");
  EXPECT_EQ(reader.Rest().size(), 5U + 16);
}

TEST_F(AicoMessageTest, MessagesOfAllSizesArriveWithTheirMetadata) {
  for (const size_t size : {0U, 1U, 1023U, 1024U, 1025U, 65536U}) {
    const std::string text(size, 'x');
    ASSERT_OK_AND_ASSIGN(const Opened opened, OpenWith(*b_, SealWith(*a_, text, R"({"n":1})")));
    EXPECT_EQ(AsText(opened.plaintext), text);
    EXPECT_EQ(opened.metadata, R"({"n":1})");
  }
  ASSERT_OK_AND_ASSIGN(const Opened bare, OpenWith(*b_, SealWith(*a_, "x")));
  EXPECT_EQ(bare.metadata, "");
}

TEST_F(AicoMessageTest, SameMessageNeverMakesTheSameFrame) {
  const Bytes first = SealWith(*a_, "x");
  const Bytes second = SealWith(*a_, "x");
  EXPECT_NE(ToHex(ByteView(first).subspan(8, 24)), ToHex(ByteView(second).subspan(8, 24)));
}

TEST_F(AicoMessageTest, NoCorruptedFrameOpensOrChangesAnything) {
  for (const size_t size : {5U, 2000U}) {  // by either implementation of the cipher
    const std::string text(size, 'x');
    const Bytes frame = SealWith(*a_, text, R"({"to":"x"})");
    ForEachCorruption(frame, [&](const Bytes& bad, size_t at) {
      Bytes plaintext;
      std::string metadata;
      EXPECT_FALSE(b_->Open(bad, plaintext, metadata).has_value()) << at;
      EXPECT_TRUE(plaintext.empty()) << at;
    });
    ExpectOpens(*b_, frame, text);
  }
}

TEST_F(AicoMessageTest, ChangedCiphertextAndNonceFailToAuthenticate) {
  const Bytes frame = SealWith(*a_, "hello");
  for (const size_t at : {size_t{8}, size_t{31}, frame.size() - 21, frame.size() - 1}) {
    Bytes bad = frame;
    bad[at] ^= 0x80;
    ExpectRefused(bad, ErrorCode::kAuthenticationFailed);
  }
  Bytes bad = frame;
  bad[0] ^= 1;
  ExpectRefused(bad, ErrorCode::kMalformed);
  ExpectRefused({}, ErrorCode::kMalformed);
  ExpectOpens(*b_, frame, "hello");
}

TEST_F(AicoMessageTest, ReplayIsRefused) {
  const Bytes frame = SealWith(*a_, "once");
  ExpectOpens(*b_, frame, "once");
  ExpectRefused(frame, ErrorCode::kReplayed);
  ExpectOpens(*b_, SealWith(*a_, "next"), "next");
}

TEST_F(AicoMessageTest, ReorderedAndDroppedMessagesAreNoticed) {
  const Bytes first = SealWith(*a_, "1");
  const Bytes second = SealWith(*a_, "2");
  const Bytes third = SealWith(*a_, "3");
  ExpectRefused(second, ErrorCode::kReplayed);
  ExpectRefused(third, ErrorCode::kReplayed);
  ExpectOpens(*b_, first, "1");
  ExpectRefused(third, ErrorCode::kReplayed);
  ExpectOpens(*b_, second, "2");
  ExpectOpens(*b_, third, "3");
}

TEST_F(AicoMessageTest, OwnFramesReflectedAreRefused) {
  const Bytes own = SealWith(*b_, "mine");
  ExpectRefused(own, ErrorCode::kAuthenticationFailed);
  ExpectOpens(*a_, own, "mine");
}

TEST_F(AicoMessageTest, RefusedSealUsesUpNoNumber) {
  Bytes frame;
  EXPECT_THAT(a_->Seal({}, "[]", frame), FailsWith(ErrorCode::kMalformed));
  EXPECT_THAT(a_->Seal(Bytes(kAicoMaxMessage + 1), {}, frame), FailsWith(ErrorCode::kTooLarge));
  ExpectOpens(*b_, SealWith(*a_, "first"), "first");
}

TEST_F(AicoMessageTest, ReceiverFollowsEveryRekey) {
  for (int epoch = 0; epoch < 5; ++epoch) {
    const std::string text = "epoch " + std::to_string(epoch);
    ExpectOpens(*b_, SealWith(*a_, text), text);
    ASSERT_OK(a_->Rekey());
  }
  // Each direction has epochs of its own.
  ExpectOpens(*a_, SealWith(*b_, "back"), "back");
}

TEST_F(AicoMessageTest, RekeyIsVisibleInTheMetadataAndKeepsCounting) {
  SealWith(*a_, "x");
  ASSERT_OK(a_->Rekey());
  const Bytes frame = SealWith(*a_, "x");
  EXPECT_EQ(AsText(ByteView(frame).subspan(36, 19)), R"({"seq":1,"epoch":1})");
}

TEST_F(AicoMessageTest, RekeyingAKeyThatSealedNothingKeepsIt) {
  SealWith(*a_, "x");
  ASSERT_OK(a_->Rekey());
  ASSERT_OK(a_->Rekey());
  const Bytes frame = SealWith(*a_, "x");
  EXPECT_EQ(AsText(ByteView(frame).subspan(36, 19)), R"({"seq":1,"epoch":1})");
}

TEST_F(AicoMessageTest, OldKeyIsRefusedOnceTheNewOneIsInUse) {
  const Bytes old = SealWith(*a_, "old");
  ExpectOpens(*b_, old, "old");
  ASSERT_OK(a_->Rekey());
  ExpectOpens(*b_, SealWith(*a_, "new"), "new");
  ExpectRefused(old, ErrorCode::kReplayed);
}

TEST_F(AicoMessageTest, SkippedEpochIsRefusedBecauseAMessageIsMissing) {
  ASSERT_OK(a_->Rekey());
  const Bytes first = SealWith(*a_, "1");
  ASSERT_OK(a_->Rekey());
  const Bytes second = SealWith(*a_, "2");
  ExpectRefused(second, ErrorCode::kReplayed);
  ExpectOpens(*b_, first, "1");
  ExpectOpens(*b_, second, "2");
}

// Whoever announces a new key without having it must not move the receiver to that key.
TEST_F(AicoMessageTest, ForgedEpochMovesNothing) {
  const Bytes frame = SealWith(*a_, "x");
  Bytes forged = frame;
  const std::string_view text = AsText(frame);
  forged[text.find("\"epoch\":0") + 8] = '1';
  ExpectRefused(forged, ErrorCode::kAuthenticationFailed);
  ExpectOpens(*b_, frame, "x");
}

// A message of the next key that comes too early leaves the receiver with the old key.
TEST_F(AicoMessageTest, EarlyMessageOfTheNextKeyMovesNothing) {
  const Bytes old = SealWith(*a_, "old");
  ASSERT_OK(a_->Rekey());
  const Bytes next = SealWith(*a_, "new");
  ExpectRefused(next, ErrorCode::kReplayed);
  ExpectOpens(*b_, old, "old");
  ExpectOpens(*b_, next, "new");
}

TEST_F(AicoMessageTest, SixteenMebibytesPassAndOneByteMoreDoesNot) {
  const Bytes largest(kAicoMaxMessage, 'x');
  Bytes frame;
  ASSERT_OK(a_->Seal(largest, {}, frame));
  ASSERT_OK_AND_ASSIGN(const Opened opened, OpenWith(*b_, frame));
  EXPECT_TRUE(opened.plaintext == largest);
  frame.push_back(0);
  ExpectRefused(frame, ErrorCode::kTooLarge);
}

TEST_F(AicoMessageTest, SmallerLimitOfThePolicyHoldsInBothDirections) {
  AicoOptions options = OptionsOf(Role::kResponder);
  options.max_message_size = 10;
  const EnginePtr a = Initiator();
  b_ = Make(options);
  Connect(*a, *b_);
  Bytes frame;
  EXPECT_THAT(b_->Seal(Bytes(11), {}, frame), FailsWith(ErrorCode::kTooLarge));
  EXPECT_OK(b_->Seal(Bytes(10), {}, frame));
  ExpectOpens(*b_, SealWith(*a, "0123456789"), "0123456789");
  ExpectRefused(SealWith(*a, "01234567890"), ErrorCode::kTooLarge);
}

TEST_F(AicoMessageTest, OversizedMetadataIsRefusedBeforeItIsParsed) {
  const auto frame_with = [](size_t metadata) {
    return Writer()
        .Raw(AsBytes("AICO-MSG"))
        .Raw(Bytes(24))
        .Field<uint32_t>(Bytes(metadata, ' '))
        .Raw(Bytes(16))
        .Take();
  };
  ExpectRefused(frame_with(kAicoMaxMetadata + 1), ErrorCode::kTooLarge);
  ExpectRefused(frame_with(kAicoMaxMetadata), ErrorCode::kMalformed);
}

}  // namespace
}  // namespace keyward::session
