// Every message against a real server on a real directory.
#include <sched.h>
#include <sys/mount.h>

#include <set>

#include "tests/component/server/fixture.h"

namespace foliofs::server {
namespace {

class Messages : public ServerTest {};

TEST_F(Messages, HelloGivesTheRootOfTheExport) {
  RawClient client(port());
  auto hello = client.hello("data", {}, 9999);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello.value().version, proto::kVersion);
  EXPECT_EQ(hello.value().session.size(), 16u);
  EXPECT_EQ(hello.value().slots, kMaxSlots);
  EXPECT_EQ(hello.value().max_payload, kMaxPayloadBytes);
  EXPECT_FALSE(hello.value().resumed);
  EXPECT_FALSE(hello.value().read_only);
  struct stat info {};
  ASSERT_EQ(::stat(tree().c_str(), &info), 0);
  EXPECT_EQ(hello.value().root_attributes->ino(), info.st_ino);
  EXPECT_TRUE(client.call(wire::PingRequestT()));
}

TEST_F(Messages, CreateWriteReadClose) {
  auto client = connect();
  auto made = client->create(client->root(), "file", O_RDWR, 0640);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made.value().reply.created);
  EXPECT_EQ(made.value().reply.attributes->mode(), S_IFREG | 0640u);
  const auto id = made.value().reply.open_id;

  auto wrote = client->write(id, 3, "hello");
  ASSERT_TRUE(wrote);
  EXPECT_EQ(wrote.value().reply.attributes->size(), 8u);
  EXPECT_EQ(file_content("file"), std::string("\0\0\0hello", 8));

  auto read = client->read(id, 4, 100);
  ASSERT_TRUE(read);
  EXPECT_EQ(read.value().payload, "ello");
  EXPECT_EQ(client->read(id, 8, 10).value().payload, "");
  EXPECT_EQ(errno_of(client->read(id, 0, kMaxPayloadBytes + 1)), EINVAL);
  EXPECT_EQ(errno_of(client->read(id, std::uint64_t{1} << 63, 1)), EINVAL);
  EXPECT_EQ(errno_of(client->write(id, ~std::uint64_t{0}, "x")), EFBIG);

  wire::CommitRequestT commit;
  commit.open_id = id;
  EXPECT_EQ(client->call(commit).value().reply.attributes->size(), 8u);
  EXPECT_TRUE(client->close(id));
  EXPECT_EQ(errno_of(client->close(id)), EBADF);
  EXPECT_EQ(errno_of(client->read(id, 0, 1)), EBADF);
}

TEST_F(Messages, LargestPayloadsGoBothWays) {
  auto client = connect();
  const auto id = client->create(client->root(), "big").value().reply.open_id;
  std::string data(kMaxPayloadBytes, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 31 >> 3);
  ASSERT_TRUE(client->write(id, 0, data));
  ASSERT_TRUE(client->write(id, data.size(), data));
  auto read = client->read(id, data.size() / 2, kMaxPayloadBytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read.value().payload, data.substr(data.size() / 2) + data.substr(0, data.size() / 2));
}

TEST_F(Messages, ManyRequestsInFlight) {
  auto client = connect();
  const auto id = client->create(client->root(), "file").value().reply.open_id;
  ASSERT_TRUE(client->write(id, 0, std::string(200'000, 'x')));
  std::map<std::uint64_t, std::uint32_t> expected;
  for (std::uint32_t slot = 1; slot < 8; ++slot) {
    wire::ReadRequestT request;
    request.open_id = id;
    request.length = slot * 20'000;
    const auto header = client->next(MessageType::kRead, slot);
    ASSERT_TRUE(client->send(header, request));
    expected[header.request_id] = request.length;
  }
  while (!expected.empty()) {
    auto frame = client->receive();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame.value().payload.size(), expected[frame.value().header.request_id]);
    expected.erase(frame.value().header.request_id);
  }
}

TEST_F(Messages, CreateOpensWhatIsThere) {
  put_file("there", "content");
  auto client = connect();
  auto opened = client->create(client->root(), "there", O_RDONLY);
  ASSERT_TRUE(opened);
  EXPECT_FALSE(opened.value().reply.created);
  EXPECT_EQ(client->read(opened.value().reply.open_id, 0, 10).value().payload, "content");
  EXPECT_EQ(errno_of(client->create(client->root(), "there", O_RDWR | O_EXCL)), EEXIST);
  EXPECT_EQ(
      client->create(client->root(), "there", O_RDWR | O_TRUNC).value().reply.attributes->size(),
      0u);
  ASSERT_TRUE(client->mkdir(client->root(), "dir"));
  EXPECT_EQ(errno_of(client->create(client->root(), "dir", O_RDONLY)), EISDIR);
  fs::create_symlink("there", tree() / "symlink");
  EXPECT_EQ(errno_of(client->create(client->root(), "symlink", O_RDWR)), ELOOP);
  ASSERT_EQ(::mkfifo((tree() / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(errno_of(client->create(client->root(), "fifo", O_WRONLY)), ENXIO);
}

TEST_F(Messages, OpenCarriesTheFirstBytes) {
  put_file("small", "abcdef");
  put_file("large", std::string(300'000, 'L'));
  auto client = connect();
  const auto small = client->lookup(client->root(), "small").value().reply.handle;
  const auto large = client->lookup(client->root(), "large").value().reply.handle;
  EXPECT_EQ(client->open(small, O_RDONLY, 4).value().payload, "abcd");
  EXPECT_EQ(client->open(small, O_RDONLY, 4096).value().payload, "abcdef");
  EXPECT_EQ(client->open(small, O_RDONLY).value().payload, "");
  EXPECT_EQ(client->open(small, O_WRONLY, 4096).value().payload, "");
  EXPECT_EQ(client->open(large, O_RDONLY, 1u << 20).value().payload.size(), 128u * 1024);
  EXPECT_EQ(errno_of(client->open(small, O_ACCMODE)), EINVAL);
  EXPECT_EQ(errno_of(client->open(client->root(), O_RDWR)), EISDIR);
  EXPECT_TRUE(client->open(client->root(), O_RDONLY | O_DIRECTORY));
}

TEST_F(Messages, AppendAndDirectFlagsDoNotChangeHowTheServerWrites) {
  put_file("log", "0123456789");
  auto client = connect();
  const auto handle = client->lookup(client->root(), "log").value().reply.handle;
  const auto id = client->open(handle, O_RDWR | O_APPEND | O_DIRECT | O_SYNC).value().reply.open_id;
  ASSERT_TRUE(client->write(id, 2, "XY"));
  EXPECT_EQ(file_content("log"), "01XY456789");
}

TEST_F(Messages, LinksAndSymlinks) {
  put_file("file", "x");
  auto client = connect();
  const auto handle = client->lookup(client->root(), "file").value().reply.handle;
  wire::LinkRequestT link;
  link.caller = client->caller();
  link.handle = handle;
  link.parent = client->root();
  link.name = "second";
  auto linked = client->call(link);
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked.value().reply.attributes->nlink(), 2u);
  EXPECT_EQ(linked.value().reply.handle, handle);
  EXPECT_TRUE(fs::equivalent(tree() / "file", tree() / "second"));

  wire::SymlinkRequestT symlink;
  symlink.caller = client->caller();
  symlink.parent = client->root();
  symlink.name = "symlink";
  const std::string target = "../../etc/passwd";
  symlink.target.assign(target.begin(), target.end());
  auto made = client->call(symlink);
  ASSERT_TRUE(made);
  EXPECT_TRUE(S_ISLNK(made.value().reply.attributes->mode()));
  wire::ReadlinkRequestT readlink;
  readlink.caller = client->caller();
  readlink.handle = made.value().reply.handle;
  const auto read = client->call(readlink).value().reply.target;
  EXPECT_EQ(std::string(read.begin(), read.end()), target);
  EXPECT_EQ(errno_of(client->open(made.value().reply.handle)), ELOOP);
  readlink.handle = handle;
  EXPECT_EQ(errno_of(client->call(readlink)), EINVAL);
  symlink.name = "empty";
  symlink.target.clear();
  EXPECT_EQ(errno_of(client->call(symlink)), ENOENT);
}

TEST_F(Messages, MknodMkdirUnlink) {
  auto client = connect();
  wire::MknodRequestT mknod;
  mknod.caller = client->caller();
  mknod.parent = client->root();
  mknod.name = "fifo";
  mknod.mode = S_IFIFO | 0600;
  auto fifo = client->call(mknod);
  ASSERT_TRUE(fifo);
  EXPECT_TRUE(S_ISFIFO(fifo.value().reply.attributes->mode()));
  EXPECT_EQ(errno_of(client->open(fifo.value().reply.handle)), ENXIO);
  mknod.name = "bad";
  mknod.mode = S_IFDIR | 0700;
  EXPECT_EQ(errno_of(client->call(mknod)), EINVAL);

  auto dir = client->mkdir(client->root(), "dir", 0750);
  ASSERT_TRUE(dir);
  EXPECT_EQ(dir.value().reply.attributes->mode(), S_IFDIR | 0750u);
  EXPECT_EQ(dir.value().reply.parent_attributes->nlink(), 3u);
  EXPECT_EQ(errno_of(client->mkdir(client->root(), "dir")), EEXIST);
  auto inside = client->create(dir.value().reply.handle, "inside");
  ASSERT_TRUE(inside);
  ASSERT_TRUE(client->close(inside.value().reply.open_id));
  EXPECT_EQ(errno_of(client->unlink(client->root(), "dir", true)), ENOTEMPTY);
  EXPECT_EQ(errno_of(client->unlink(client->root(), "dir", false)), EISDIR);
  EXPECT_EQ(errno_of(client->unlink(client->root(), "fifo", true)), ENOTDIR);
  ASSERT_TRUE(client->unlink(dir.value().reply.handle, "inside"));
  ASSERT_TRUE(client->unlink(client->root(), "dir", true));
  EXPECT_EQ(errno_of(client->lookup(client->root(), "dir")), ENOENT);
  EXPECT_EQ(errno_of(client->get_attr(dir.value().reply.handle)), ESTALE);
}

TEST_F(Messages, Rename) {
  put_file("a", "A");
  put_file("b", "B");
  auto client = connect();
  auto dir = client->mkdir(client->root(), "dir");
  wire::RenameRequestT rename;
  rename.caller = client->caller();
  rename.parent = client->root();
  rename.name = "a";
  rename.new_parent = client->root();
  rename.new_name = "b";
  rename.flags = RENAME_NOREPLACE;
  EXPECT_EQ(errno_of(client->call(rename)), EEXIST);
  rename.flags = RENAME_EXCHANGE;
  ASSERT_TRUE(client->call(rename));
  EXPECT_EQ(file_content("a") + file_content("b"), "BA");
  rename.flags = 0;
  rename.new_parent = dir.value().reply.handle;
  ASSERT_TRUE(client->call(rename));
  EXPECT_EQ(file_content("dir/b"), "B");
  EXPECT_EQ(errno_of(client->call(rename)), ENOENT);
  rename.flags = 0x80;
  EXPECT_EQ(errno_of(client->call(rename)), EINVAL);
}

TEST_F(Messages, SetAttr) {
  put_file("file", "0123456789");
  auto client = connect();
  const auto handle = client->lookup(client->root(), "file").value().reply.handle;
  wire::SetAttrRequestT set;
  set.caller = client->caller();
  set.handle = handle;
  set.valid = proto::kSetMode | proto::kSetSize | proto::kSetAtime | proto::kSetMtime;
  set.mode = 0600;
  set.size = 4;
  set.atime_ns = -1;  // before the epoch
  set.mtime_ns = 1'234'567'890'123'456'789;
  auto attributes = client->call(set);
  ASSERT_TRUE(attributes);
  EXPECT_EQ(attributes.value().reply.attributes->mode(), S_IFREG | 0600u);
  EXPECT_EQ(attributes.value().reply.attributes->size(), 4u);
  EXPECT_EQ(attributes.value().reply.attributes->atime_ns(), -1);
  EXPECT_EQ(attributes.value().reply.attributes->mtime_ns(), 1'234'567'890'123'456'789);
  EXPECT_EQ(file_content("file"), "0123");

  const auto id = client->open(handle, O_RDWR).value().reply.open_id;
  set.valid = proto::kSetSize;
  set.size = 2;
  set.open_id = id;
  EXPECT_EQ(client->call(set).value().reply.attributes->size(), 2u);
  set.valid = 0;
  EXPECT_EQ(errno_of(client->call(set)), EINVAL);
  set.valid = 1u << 30;
  EXPECT_EQ(errno_of(client->call(set)), EINVAL);
  set.open_id = 0;
  set.handle = client->root();
  set.valid = proto::kSetSize;
  EXPECT_EQ(errno_of(client->call(set)), EISDIR);
}

TEST_F(Messages, TimesOfASymlinkAreItsOwn) {
  put_file("file", "x");
  fs::create_symlink("file", tree() / "symlink");
  auto client = connect();
  wire::SetAttrRequestT set;
  set.caller = client->caller();
  set.handle = client->lookup(client->root(), "symlink").value().reply.handle;
  set.valid = proto::kSetMtime;
  set.mtime_ns = 5'000'000'000;
  EXPECT_EQ(client->call(set).value().reply.attributes->mtime_ns(), 5'000'000'000);
  EXPECT_NE(client->lookup(client->root(), "file").value().reply.attributes->mtime_ns(),
            5'000'000'000);
  set.valid = proto::kSetMode;
  EXPECT_EQ(errno_of(client->call(set)), EOPNOTSUPP);
}

TEST_F(Messages, WriteKeepsTheTimeThatTheClientHasShown) {
  auto client = connect();
  const auto id = client->create(client->root(), "file").value().reply.open_id;
  wire::WriteRequestT write;
  write.open_id = id;
  write.flags = proto::kWriteSetMtime | proto::kWriteInvalidation;
  write.mtime_ns = 1'000'000'000'000'000'007;
  auto wrote = client->call(write, "data");
  ASSERT_TRUE(wrote);
  EXPECT_EQ(wrote.value().reply.attributes->mtime_ns(), 1'000'000'000'000'000'007);
  write.flags = 0x100;
  EXPECT_EQ(errno_of(client->call(write, "data")), EINVAL);
}

TEST_F(Messages, StatFs) {
  auto client = connect();
  wire::StatFsRequestT request;
  request.caller = client->caller();
  request.handle = client->root();
  auto space = client->call(request);
  ASSERT_TRUE(space);
  EXPECT_GT(space.value().reply.blocks, 0u);
  EXPECT_EQ(space.value().reply.name_max, 255u);
}

TEST_F(Messages, ReadDirInPiecesGivesEachEntryOnce) {
  std::set<std::string> expected{".", ".."};
  for (int i = 0; i < 300; ++i) {
    const std::string name = "entry-" + std::to_string(i);
    put_file(name, name);
    expected.insert(name);
  }
  auto client = connect();
  wire::ReadDirRequestT request;
  request.caller = client->caller();
  request.handle = client->root();
  request.max_bytes = 4096;
  request.with_attributes = true;
  std::set<std::string> seen;
  int replies = 0;
  for (bool end = false; !end; ++replies) {
    auto answer = client->call(request);
    ASSERT_TRUE(answer);
    end = answer.value().reply.end;
    for (const auto& entry : answer.value().reply.entries) {
      EXPECT_TRUE(seen.insert(entry->name).second) << entry->name;
      request.cookie = entry->cookie;
      if (entry->name == "." || entry->name == "..") continue;
      ASSERT_FALSE(entry->handle.empty());
      EXPECT_EQ(entry->attributes->size(), entry->name.size());
      EXPECT_EQ(entry->type, static_cast<std::uint32_t>(S_IFREG));
    }
  }
  EXPECT_EQ(seen, expected);
  EXPECT_GT(replies, 3);
  request.max_bytes = 100;
  EXPECT_EQ(errno_of(client->call(request)), EINVAL);
  request.max_bytes = 4096;
  request.handle = client->lookup(client->root(), "entry-0").value().reply.handle;
  EXPECT_EQ(errno_of(client->call(request)), ENOTDIR);
}

// The next listing of a short directory runs on the loop, and the directory may have grown by then.
TEST_F(Messages, ADirectoryThatWasShortIsListedWhole) {
  auto client = connect();
  put_file("first", "");
  wire::ReadDirRequestT request;
  request.caller = client->caller();
  request.handle = client->root();
  request.max_bytes = 1 << 18;
  const auto list = [&] {
    std::multiset<std::string> seen;
    request.cookie = 0;
    for (bool end = false; !end;) {
      auto answer = client->call(request);
      if (!answer) return seen;
      end = answer.value().reply.end;
      for (const auto& entry : answer.value().reply.entries) {
        seen.insert(entry->name);
        request.cookie = entry->cookie;
      }
    }
    return seen;
  };
  std::multiset<std::string> expected{".", "..", "first"};
  EXPECT_EQ(list(), expected);
  EXPECT_EQ(list(), expected);
  for (int i = 0; i < 200; ++i) {
    put_file(std::to_string(i), "");
    expected.insert(std::to_string(i));
  }
  EXPECT_EQ(list(), expected);
  EXPECT_EQ(list(), expected);
}

TEST_F(Messages, HandlesFromReadDirOpen) {
  put_file("file", "content");
  auto client = connect();
  wire::ReadDirRequestT request;
  request.caller = client->caller();
  request.handle = client->root();
  request.max_bytes = 4096;
  request.with_attributes = true;
  auto answer = client->call(request);
  ASSERT_TRUE(answer);
  for (const auto& entry : answer.value().reply.entries) {
    if (entry->name != "file") continue;
    EXPECT_EQ(client->open(entry->handle, O_RDONLY, 100).value().payload, "content");
    return;
  }
  FAIL() << "no entry called file";
}

TEST_F(Messages, NamesThatAreNoComponentsAreRefused) {
  auto client = connect();
  for (const char* name : {"", ".", "..", "a/b", "/etc", "../x"}) {
    EXPECT_EQ(errno_of(client->lookup(client->root(), name)), EINVAL) << name;
    EXPECT_EQ(errno_of(client->create(client->root(), name)), EINVAL) << name;
    EXPECT_EQ(errno_of(client->mkdir(client->root(), name)), EINVAL) << name;
    EXPECT_EQ(errno_of(client->unlink(client->root(), name, true)), EINVAL) << name;
  }
  EXPECT_EQ(errno_of(client->lookup(client->root(), std::string(256, 'n'))), ENAMETOOLONG);
  wire::LookupRequestT nameless;
  nameless.caller = client->caller();
  nameless.parent = client->root();
  EXPECT_EQ(errno_of(client->call(nameless)), EINVAL);
}

TEST_F(Messages, SymlinksAreNotFollowedOnTheWay) {
  fs::create_directory_symlink("/", tree() / "out");
  auto client = connect();
  auto out = client->lookup(client->root(), "out");
  ASSERT_TRUE(out);
  EXPECT_EQ(errno_of(client->lookup(out.value().reply.handle, "etc")), ENOTDIR);
}

TEST_F(Messages, ForgedHandlesAreStale) {
  put_file("file", "x");
  auto client = connect();
  const Bytes good = client->lookup(client->root(), "file").value().reply.handle;
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes forged = good;
    forged[i] ^= 0x40;
    EXPECT_EQ(errno_of(client->get_attr(forged)), ESTALE) << i;
  }
  EXPECT_EQ(errno_of(client->get_attr({})), ESTALE);
  EXPECT_EQ(errno_of(client->get_attr(Bytes(500, 1))), ESTALE);
  EXPECT_EQ(errno_of(client->get_attr(Bytes(good.begin(), good.end() - 1))), ESTALE);
  // A handle of another export is not valid either, although both offer the same directory.
  auto other = connect("ro");
  EXPECT_EQ(errno_of(other->get_attr(good)), ESTALE);
}

TEST_F(Messages, UnlinkedFilesLiveWhileTheyAreOpen) {
  auto client = connect();
  auto made = client->create(client->root(), "file");
  const auto id = made.value().reply.open_id;
  ASSERT_TRUE(client->write(id, 0, "alive"));
  ASSERT_TRUE(client->unlink(client->root(), "file"));
  EXPECT_EQ(client->read(id, 0, 10).value().payload, "alive");
  auto attributes = client->get_attr(made.value().reply.handle, id);
  ASSERT_TRUE(attributes);
  EXPECT_EQ(attributes.value().reply.attributes->nlink(), 0u);
  ASSERT_TRUE(client->close(id));
  EXPECT_EQ(errno_of(client->get_attr(made.value().reply.handle)), ESTALE);
}

// SEMANTICS: paths-are-looked-up-again
TEST_F(Messages, AnOpenFileThatHasNoNameAnyMoreIsStaleToLink) {
  auto client = connect();
  const auto file = client->create(client->root(), "file").value().reply;
  ASSERT_TRUE(client->unlink(client->root(), "file"));
  wire::LinkRequestT link;
  link.caller = client->caller();
  link.handle = file.handle;
  link.parent = client->root();
  link.name = "linked";
  EXPECT_EQ(errno_of(client->call(link)), ESTALE);
  EXPECT_FALSE(fs::exists(tree() / "linked"));
}

TEST_F(Messages, ReadOnlyExportsRefuseEveryChange) {
  put_file("file", "content");
  auto client = connect("ro");
  const auto handle = client->lookup(client->root(), "file").value().reply.handle;
  EXPECT_EQ(client->open(handle, O_RDONLY, 100).value().payload, "content");
  EXPECT_EQ(errno_of(client->open(handle, O_RDWR)), EROFS);
  EXPECT_EQ(errno_of(client->open(handle, O_RDONLY | O_TRUNC)), EROFS);
  EXPECT_EQ(errno_of(client->create(client->root(), "new", O_RDONLY)), EROFS);
  EXPECT_TRUE(client->create(client->root(), "file", O_RDONLY));
  EXPECT_EQ(errno_of(client->mkdir(client->root(), "dir")), EROFS);
  EXPECT_EQ(errno_of(client->unlink(client->root(), "file")), EROFS);
  wire::SetAttrRequestT set;
  set.caller = client->caller();
  set.handle = handle;
  set.valid = proto::kSetMode;
  EXPECT_EQ(errno_of(client->call(set)), EROFS);
  EXPECT_EQ(file_content("file"), "content");
}

TEST_F(Messages, RequestsWithoutACallerAreRefused) {
  auto client = connect();
  wire::LookupRequestT request;
  request.parent = client->root();
  request.name = "x";
  EXPECT_EQ(errno_of(client->call(request)), EINVAL);
  client->uid = 0xffffffff;
  EXPECT_EQ(errno_of(client->lookup(client->root(), "x")), EINVAL);
}

// --- Mounts inside the export -------------------------------------------------------------------

// The test runs in its own mount namespace, which ends with the process in any case.
class Mounts : public ServerTest {
 protected:
  void SetUp() override {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "needs a mount namespace: " << std::strerror(errno);
    }
    ServerTest::SetUp();
    fs::create_directory(tree() / "mounted");
    ASSERT_EQ(::mount("tmpfs", (tree() / "mounted").c_str(), "tmpfs", 0, "size=1m"), 0);
    put_file("mounted/secret", "x");
  }
  void TearDown() override {
    ::umount2((tree() / "mounted").c_str(), MNT_DETACH);
    ServerTest::TearDown();
  }
};

TEST_F(Mounts, AreNotEntered) {
  auto client = connect();
  EXPECT_EQ(errno_of(client->lookup(client->root(), "mounted")), EXDEV);
  EXPECT_EQ(errno_of(client->mkdir(client->root(), "mounted")), EEXIST);
  wire::ReadDirRequestT request;
  request.caller = client->caller();
  request.handle = client->root();
  request.max_bytes = 4096;
  request.with_attributes = true;
  auto answer = client->call(request);
  ASSERT_TRUE(answer);
  for (const auto& entry : answer.value().reply.entries) EXPECT_TRUE(entry->handle.empty());
}

// --- Without handles from the kernel ------------------------------------------------------------

class Descriptors : public ServerTest {
 protected:
  void adjust(Options& options) override { options.handles = HandleKind::kDescriptor; }
};

TEST_F(Descriptors, ServeAllTheSame) {
  auto client = connect();
  auto dir = client->mkdir(client->root(), "dir");
  ASSERT_TRUE(dir);
  auto made = client->create(dir.value().reply.handle, "file");
  ASSERT_TRUE(made);
  ASSERT_TRUE(client->write(made.value().reply.open_id, 0, "data"));
  auto again = client->lookup(dir.value().reply.handle, "file");
  ASSERT_TRUE(again);
  EXPECT_EQ(again.value().reply.handle, made.value().reply.handle);
  EXPECT_EQ(client->open(again.value().reply.handle, O_RDONLY, 10).value().payload, "data");
}

}  // namespace
}  // namespace foliofs::server
