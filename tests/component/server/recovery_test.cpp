// What a client needs from the server to continue after a restart, and to learn which names are
// gone.
#include <csignal>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

class Recovery : public ServerTest {
 protected:
  auto open_again(RawClient& client, const Bytes& handle, int flags) {
    wire::OpenRequestT request;
    request.caller = client.caller();
    request.handle = handle;
    request.open_flags = static_cast<std::uint32_t>(flags);
    request.reclaim = true;
    return client.call(request);
  }
  Result<wire::RenameReplyT> rename(RawClient& client, const std::string& from,
                                    const std::string& to, unsigned flags = 0) {
    wire::RenameRequestT request;
    request.caller = client.caller();
    request.parent = request.new_parent = client.root();
    request.name = from;
    request.new_name = to;
    request.flags = flags;
    BOOST_OUTCOME_TRY(auto answer, client.call(request));
    return std::move(answer.reply);
  }
};

TEST_F(Recovery, TheWriteVerifierIsThatOfTheMachine) {
  RawClient before(port());
  const auto verifier = before.hello("data").value().write_verifier;
  EXPECT_NE(verifier, 0u);
  server_.reset();
  SetUp();
  RawClient after(port());
  EXPECT_EQ(after.hello("data").value().write_verifier, verifier);
}

TEST_F(Recovery, AnOwnerReclaimsWhateverTheModeSays) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  put_file("file", "content");
  ASSERT_EQ(::chown((tree() / "file").c_str(), 1000, 1000), 0);
  ::chmod((tree() / "file").c_str(), 0);
  auto client = connect();
  const auto handle = client->lookup(client->root(), "file").value().reply.handle;
  client->uid = client->gid = 1000;
  EXPECT_EQ(errno_of(client->open(handle, O_RDWR)), EACCES);
  auto again = open_again(*client, handle, O_RDWR);
  ASSERT_TRUE(again) << errno_name(again.error());
  EXPECT_TRUE(client->write(again.value().reply.open_id, 0, "CON"));
  EXPECT_EQ(client->read(again.value().reply.open_id, 0, 10).value().payload, "CONtent");
  EXPECT_EQ(errno_of(client->open(handle, O_RDWR)), EACCES) << "the privilege is gone again";
  EXPECT_EQ(errno_of(open_again(*client, handle, O_RDWR | O_TRUNC)), EINVAL);
  EXPECT_EQ(errno_of(open_again(*client, client->root(), O_RDONLY)), EINVAL);
  client->uid = 1001;
  EXPECT_EQ(errno_of(open_again(*client, handle, O_RDONLY)), EACCES);
}

TEST_F(Recovery, AListingGoesOnWhenItsOwnerChangesTheMode) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  fs::create_directory(tree() / "dir");
  for (int i = 0; i < 100; ++i) put_file("dir/entry-" + std::to_string(i), "");
  ASSERT_EQ(::chown((tree() / "dir").c_str(), 1000, 1000), 0);
  auto client = connect();
  client->uid = client->gid = 1000;
  wire::ReadDirRequestT request;
  request.caller = client->caller();
  request.handle = client->lookup(client->root(), "dir").value().reply.handle;
  request.max_bytes = 2048;
  std::size_t seen = 0;
  for (bool end = false; !end;) {
    auto answer = client->call(request);
    ASSERT_TRUE(answer) << errno_name(answer.error());
    end = answer.value().reply.end;
    seen += answer.value().reply.entries.size();
    request.cookie = answer.value().reply.entries.back()->cookie;
    ::chmod((tree() / "dir").c_str(), 0);
  }
  EXPECT_EQ(seen, 102u);
  request.caller->uid = 1001;
  EXPECT_EQ(errno_of(client->call(request)), EACCES);
  request.caller->uid = 1000;
  request.cookie = 0;
  EXPECT_EQ(errno_of(client->call(request)), EACCES);
}

TEST_F(Recovery, UnlinkTellsWhatIsLeftOfTheFile) {
  put_file("one", "x");
  fs::create_hard_link(tree() / "one", tree() / "two");
  auto client = connect();
  const auto entry = client->lookup(client->root(), "two").value().reply;
  auto first = client->unlink(client->root(), "one");
  ASSERT_TRUE(first);
  EXPECT_EQ(first.value().reply.victim_handle, entry.handle);
  ASSERT_NE(first.value().reply.victim, nullptr);
  EXPECT_EQ(first.value().reply.victim->ino(), entry.attributes->ino());
  EXPECT_EQ(first.value().reply.victim->nlink(), 1u);
  auto second = client->unlink(client->root(), "two");
  ASSERT_TRUE(second);
  EXPECT_EQ(second.value().reply.victim_handle, entry.handle);
  EXPECT_EQ(second.value().reply.victim->nlink(), 0u);
  ASSERT_TRUE(client->mkdir(client->root(), "dir"));
  EXPECT_EQ(client->unlink(client->root(), "dir", true).value().reply.victim->nlink(), 0u);
}

TEST_F(Recovery, RenameTellsWhatIsLeftOfWhatItReplaced) {
  for (const char* name : {"a", "b", "c"}) put_file(name, name);
  fs::create_hard_link(tree() / "b", tree() / "b2");
  auto client = connect();
  const auto b = client->lookup(client->root(), "b").value().reply;
  EXPECT_EQ(rename(*client, "a", "new").value().victim, nullptr);
  EXPECT_EQ(rename(*client, "new", "b", RENAME_EXCHANGE).value().victim, nullptr);
  ASSERT_TRUE(rename(*client, "new", "b", RENAME_EXCHANGE));
  auto replaced = rename(*client, "c", "b");
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced.value().victim_handle, b.handle);
  ASSERT_NE(replaced.value().victim, nullptr);
  EXPECT_EQ(replaced.value().victim->ino(), b.attributes->ino());
  EXPECT_EQ(replaced.value().victim->nlink(), 1u);
}

// --- Calls that take long ------------------------------------------------------------------------

TEST_F(Recovery, LargeFilesGoAsSmallOnesDo) {
  const std::string large(3u << 20, 'L');
  for (const char* name : {"unlinked", "replaced", "truncated", "closed", "cut"}) {
    put_file(name, large);
  }
  put_file("small", "s");
  auto client = connect();
  EXPECT_EQ(client->unlink(client->root(), "unlinked").value().reply.victim->nlink(), 0u);
  EXPECT_EQ(rename(*client, "small", "replaced").value().victim->nlink(), 0u);
  const auto truncated = client->lookup(client->root(), "truncated").value().reply.handle;
  EXPECT_EQ(client->open(truncated, O_RDWR | O_TRUNC).value().reply.attributes->size(), 0u);
  const auto closed = client->lookup(client->root(), "closed").value().reply.handle;
  const auto id = client->open(closed, O_RDONLY).value().reply.open_id;
  ASSERT_TRUE(client->unlink(client->root(), "closed"));
  EXPECT_TRUE(client->close(id));
  EXPECT_EQ(errno_of(client->close(id)), EBADF);
  wire::SetAttrRequestT set;
  set.caller = client->caller();
  set.handle = client->lookup(client->root(), "cut").value().reply.handle;
  set.valid = proto::kSetSize;
  set.size = 10;
  EXPECT_EQ(client->call(set).value().reply.attributes->size(), 10u);
}

class OneLoop : public ServerTest {
 protected:
  void adjust(Options& options) override { options.threads = 1; }
};

TEST_F(OneLoop, AnOpenThatWaitsForALeaseKeepsNobodyElseWaiting) {
  put_file("leased", "x");
  ::signal(SIGIO, SIG_IGN);  // the kernel sends it to the holder of a lease
  UniqueFd holder(::open((tree() / "leased").c_str(), O_RDONLY | O_CLOEXEC));
  if (::fcntl(holder.get(), F_SETLEASE, F_RDLCK) != 0) GTEST_SKIP() << "no leases here";
  auto client = connect();
  wire::OpenRequestT open;
  open.caller = client->caller();
  open.handle = client->lookup(client->root(), "leased").value().reply.handle;
  open.open_flags = O_RDWR;
  const auto header = client->next(MessageType::kOpen, 1);
  ASSERT_TRUE(client->send(header, open));
  auto bystander = connect();
  EXPECT_TRUE(bystander->create(bystander->root(), "meanwhile"));
  // The open still waits, so it has not been answered with an error either.
  ASSERT_EQ(::fcntl(holder.get(), F_SETLEASE, F_UNLCK), 0);
  EXPECT_TRUE(client->read_answer<wire::OpenReply>(header));
}

}  // namespace
}  // namespace foliofs::server
