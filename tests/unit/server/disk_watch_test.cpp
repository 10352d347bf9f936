// Which actions of other processes on the disk the watch notices, and which it does not.
//
// These processes are children that do one thing by plain system calls.
#include "server/disk_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "server/disk_event.h"

namespace foliofs::server {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kPatience = 10s;
constexpr auto kStep = 2ms;

template <class Condition>
bool comes_true(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(kStep);
  }
  return true;
}

// Runs `action` in a child process. It returns whether it succeeded, and may only make system
// calls.
template <class Action>
class Elsewhere {
 public:
  explicit Elsewhere(Action action) : child_(::fork()) {
    if (child_ == 0) ::_exit(action() ? 0 : 1);
  }
  ~Elsewhere() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  bool has_worked() {
    int status = 1;
    if (!comes_true([&] { return ::waitpid(child_, &status, WNOHANG) == child_; })) return false;
    child_ = -1;
    return status == 0;
  }

 private:
  pid_t child_;
};

template <class Action>
bool elsewhere(Action action) {
  return Elsewhere(action).has_worked();
}

bool put(const char* path, int flags = 0) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC | flags, 0644));
  return file && ::write(file.get(), "x", 1) == 1;
}

enum class Where {
  kTemporary,  // on a filesystem that other processes use, too
  kAlone,      // on the test's own tmpfs, which is mounted nowhere
};

// The watch covers base/tree, but not base/outside.
class DiskWatchTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override { set_up(GetParam()); }

  void set_up(Where where) {
    if (where == Where::kAlone) {
      const UniqueFd filesystem(::fsopen("tmpfs", FSOPEN_CLOEXEC));
      if (!filesystem) GTEST_SKIP() << "mounting is not permitted: " << std::strerror(errno);
      ASSERT_EQ(::fsconfig(filesystem.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), 0);
      mount_ = UniqueFd(::fsmount(filesystem.get(), FSMOUNT_CLOEXEC, 0));
      ASSERT_TRUE(mount_);
      base_ = "/proc/self/fd/" + std::to_string(mount_.get());
    } else {
      base_ = testing::TempDir() + "disk_watch_XXXXXX";
      ASSERT_NE(::mkdtemp(base_.data()), nullptr);
      temporary_ = base_;
    }
    for (const char* directory : {"tree", "tree/sub", "outside"}) {
      fs::create_directory(at(directory));
      std::ofstream(at(directory) + "/file") << "content";
    }
    root_ = UniqueFd(::open(at("tree").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(root_);
    start();
  }

  void start() {
    auto watch = DiskWatch::start(root_.get(), [this] { ++calls_; });
    if (!watch && (watch.error() == Errno(EPERM) || watch.error() == Errno(EOPNOTSUPP))) {
      GTEST_SKIP() << "fanotify is not to be had here: " << errno_text(watch.error());
    }
    ASSERT_TRUE(watch) << errno_name(watch.error());
    watch_ = std::move(watch).value();
  }

  void TearDown() override {
    watch_.reset();
    if (!temporary_.empty()) fs::remove_all(temporary_);
  }

  std::string at(const std::string& path) const { return base_ + "/" + path; }

  // Whether the watch reports a change that another process makes.
  template <class Action>
  bool still_notices(Action action) {
    const int before = calls_;
    EXPECT_TRUE(elsewhere(action)) << std::strerror(errno);
    return comes_true([&] { return calls_ > before; });
  }

  // The same for a new watch, which has nothing else to report.
  template <class Action>
  bool notices(Action action) {
    watch_.reset();
    start();
    return still_notices(action);
  }

  std::string base_;
  std::string temporary_;  // to be removed
  UniqueFd mount_;
  UniqueFd root_;
  std::atomic<int> calls_ = 0;
  std::unique_ptr<DiskWatch> watch_;
};

INSTANTIATE_TEST_SUITE_P(Filesystems, DiskWatchTest,
                         testing::Values(Where::kTemporary, Where::kAlone),
                         [](const auto& instance) {
                           return instance.param == Where::kAlone ? "Tmpfs" : "Temporary";
                         });

// --- Noticed -----------------------------------------------------------------------------------

TEST_P(DiskWatchTest, Content) {
  const std::string file = at("tree/sub/file");
  EXPECT_TRUE(notices([&] { return put(file.c_str()); }));
  EXPECT_TRUE(notices([&] { return put(file.c_str(), O_APPEND); }));
  EXPECT_TRUE(notices([&] { return ::truncate(file.c_str(), 3) == 0; }));
}

TEST_P(DiskWatchTest, ContentBeforeTheFileIsClosed) {
  const std::string file = at("tree/file");
  const UniqueFd open(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_TRUE(notices([&] { return ::write(open.get(), "x", 1) == 1; }));
}

TEST_P(DiskWatchTest, Names) {
  const std::string made = at("tree/sub/made"), link = at("tree/link"), dir = at("tree/dir");
  EXPECT_TRUE(notices([&] { return put(made.c_str(), O_CREAT | O_EXCL); }));
  EXPECT_TRUE(notices([&] { return ::link(made.c_str(), link.c_str()) == 0; }));
  EXPECT_TRUE(notices([&] { return ::unlink(made.c_str()) == 0; }));
  EXPECT_TRUE(notices([&] { return ::mkdir(dir.c_str(), 0755) == 0; }));
  EXPECT_TRUE(notices([&] { return ::rmdir(dir.c_str()) == 0; }));
  EXPECT_TRUE(notices([&] { return ::symlink("file", dir.c_str()) == 0; }));
}

TEST_P(DiskWatchTest, RenamesWithinInAndOut) {
  const auto moves = [this](const std::string& from, const std::string& to) {
    return notices([a = at(from), b = at(to)] { return ::rename(a.c_str(), b.c_str()) == 0; });
  };
  EXPECT_TRUE(moves("tree/file", "tree/other"));
  EXPECT_TRUE(moves("tree/other", "outside/other"));
  EXPECT_TRUE(moves("outside/other", "tree/file"));
  EXPECT_TRUE(moves("tree/sub", "outside/sub"));
  EXPECT_TRUE(moves("outside/sub", "tree/sub"));
}

TEST_P(DiskWatchTest, Attributes) {
  const std::string file = at("tree/sub/file"), dir = at("tree/sub"), root = at("tree");
  EXPECT_TRUE(notices([&] { return ::chmod(file.c_str(), 0600) == 0; }));
  EXPECT_TRUE(notices([&] { return ::utimensat(AT_FDCWD, file.c_str(), nullptr, 0) == 0; }));
  EXPECT_TRUE(notices([&] { return ::chmod(dir.c_str(), 0700) == 0; }));
  EXPECT_TRUE(notices([&] { return ::chmod(root.c_str(), 0700) == 0; }));
}

TEST_P(DiskWatchTest, Xattrs) {
  const std::string file = at("tree/file"), own = at("outside/file");
  if (::setxattr(own.c_str(), "user.own", "x", 1, 0) != 0) GTEST_SKIP() << "there are no xattrs";
  EXPECT_TRUE(notices([&] { return ::setxattr(file.c_str(), "user.a", "x", 1, 0) == 0; }));
  EXPECT_TRUE(notices([&] { return ::removexattr(file.c_str(), "user.a") == 0; }));
}

TEST_P(DiskWatchTest, StoresThroughAMapping) {
  const std::string file = at("tree/file");
  EXPECT_TRUE(notices([&] {
    const UniqueFd open(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open.get(), 0);
    if (mapped == MAP_FAILED) return false;
    static_cast<volatile char*>(mapped)[0] = 'x';
    return ::munmap(mapped, 4096) == 0;
  }));
}

TEST_P(DiskWatchTest, WhatIsDoneInADirectoryThatIsDeletedThen) {
  const std::string dir = at("tree/sub"), file = at("tree/sub/file");
  EXPECT_TRUE(notices([&] { return ::unlink(file.c_str()) == 0 && ::rmdir(dir.c_str()) == 0; }));
}

TEST_P(DiskWatchTest, ADirectoryThatWasOutside) {
  const std::string outside = at("outside"), file = at("outside/file"), inside = at("tree/inside"),
                    made = at("tree/inside/made");
  ASSERT_TRUE(elsewhere([&] { return put(file.c_str()); }));
  // This process renames it, which the watch does not report; so only the mkdir(2) can be reported.
  fs::rename(outside, inside);
  EXPECT_TRUE(still_notices([&] { return ::mkdir(made.c_str(), 0755) == 0; }));
}

TEST_P(DiskWatchTest, ATreeThatWasMoved) {
  const std::string tree = at("tree"), moved = at("outside/moved"),
                    file = at("outside/moved/sub/file");
  ASSERT_TRUE(elsewhere([&] { return ::rename(tree.c_str(), moved.c_str()) == 0; }));
  EXPECT_TRUE(still_notices([&] { return put(file.c_str()); }));
}

TEST_P(DiskWatchTest, EveryOneOfManyChanges) {
  const std::string file = at("tree/file");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(still_notices([&] { return put(file.c_str()); })) << i;
    // This change comes before the watch's minimum interval between calls is over.
    const int told = calls_;
    ASSERT_TRUE(elsewhere([&] { return put(file.c_str()); }));
    ASSERT_TRUE(comes_true([&] { return calls_ > told; })) << i;
  }
}

TEST_P(DiskWatchTest, AmongManyOfItsOwn) {
  std::atomic<bool> enough = false;
  std::thread busy([&] {
    for (int i = 0; !enough; ++i) put(at("tree/own" + std::to_string(i % 50)).c_str(), O_CREAT);
  });
  const std::string file = at("tree/file");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(still_notices([&] { return put(file.c_str()); })) << i;
  enough = true;
  busy.join();
}

TEST_P(DiskWatchTest, EndsWhileItIsBusy) {
  const std::string file = at("tree/file"), other = at("tree/other");
  Elsewhere busy([&] {
    while (put(file.c_str()) && put(other.c_str(), O_CREAT) && ::unlink(other.c_str()) == 0) {
    }
    return false;
  });
  for (int i = 0; i < 20; ++i) {
    const int before = calls_;
    EXPECT_TRUE(comes_true([&] { return calls_ > before; }));
    watch_.reset();
    const int after = calls_;
    std::this_thread::sleep_for(kStep);
    EXPECT_EQ(calls_, after);
    start();
  }
}

// --- Not noticed -------------------------------------------------------------------------------

// No other process changes the filesystem, so the test knows the reason of every call.
class DiskWatchAloneTest : public DiskWatchTest {
 protected:
  void SetUp() override { set_up(Where::kAlone); }

  // Expects that the watch has reported nothing, and that it still works.
  void expect_silence() {
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(calls_, 0);
    const std::string sentinel = at("tree/sub/file");
    EXPECT_TRUE(still_notices([&] { return put(sentinel.c_str()); }));
  }
};

TEST_F(DiskWatchAloneTest, ItsOwnChanges) {
  std::thread another([&] { put(at("tree/made").c_str(), O_CREAT); });
  another.join();
  fs::permissions(at("tree/file"), fs::perms::owner_all);
  fs::rename(at("tree/sub"), at("outside/sub"));
  fs::rename(at("outside/sub"), at("tree/sub"));
  fs::remove(at("tree/made"));
  expect_silence();
}

TEST_F(DiskWatchAloneTest, ChangesOutside) {
  const std::string file = at("outside/file"), made = at("outside/made"), dir = at("outside/dir"),
                    similar = at("tree2"), top = at("made"), symlink = at("outside/symlink");
  ASSERT_TRUE(elsewhere([&] {
    return put(file.c_str()) && put(made.c_str(), O_CREAT) && ::chmod(file.c_str(), 0600) == 0 &&
           ::rename(made.c_str(), top.c_str()) == 0 && ::unlink(top.c_str()) == 0 &&
           ::mkdir(dir.c_str(), 0755) == 0 && ::rename(dir.c_str(), similar.c_str()) == 0 &&
           ::chmod(similar.c_str(), 0700) == 0 && ::symlink("file", symlink.c_str()) == 0 &&
           ::lchown(symlink.c_str(), 1, 1) == 0;
  }));
  expect_silence();
}

TEST_F(DiskWatchAloneTest, DeletedDirectoriesOutside) {
  std::vector<std::pair<std::string, std::string>> names;
  for (int i = 0; i < 100; ++i) {
    const std::string dir = at("outside/dir" + std::to_string(i));
    names.emplace_back(dir, dir + "/file");
  }
  ASSERT_TRUE(elsewhere([&] {
    bool good = true;
    for (const auto& [dir, file] : names) {
      good = good && ::mkdir(dir.c_str(), 0755) == 0 && put(file.c_str(), O_CREAT) &&
             ::unlink(file.c_str()) == 0 && ::rmdir(dir.c_str()) == 0;
    }
    return good;
  }));
  expect_silence();
}

TEST_F(DiskWatchAloneTest, AFileThatWasDeletedOutside) {
  const std::string file = at("outside/file");
  ASSERT_TRUE(elsewhere([&] {
    const UniqueFd open(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return ::unlink(file.c_str()) == 0 && ::write(open.get(), "x", 1) == 1;
  }));
  expect_silence();
}

TEST_F(DiskWatchAloneTest, WhatStandsWhereTheTreeWas) {
  fs::rename(at("tree"), at("moved"));
  fs::create_directory(at("tree"));
  const std::string made = at("tree/made"), file = at("moved/sub/file");
  ASSERT_TRUE(elsewhere([&] { return put(made.c_str(), O_CREAT); }));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(calls_, 0);
  EXPECT_TRUE(still_notices([&] { return put(file.c_str()); }));
}

TEST_F(DiskWatchAloneTest, ADirectoryThatIsNoLongerInside) {
  fs::rename(at("tree/sub"), at("outside/sub"));
  const std::string file = at("outside/sub/file"), sentinel = at("tree/file");
  ASSERT_TRUE(elsewhere([&] { return put(file.c_str()); }));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(calls_, 0);
  EXPECT_TRUE(still_notices([&] { return put(sentinel.c_str()); }));
}

// --- Events ------------------------------------------------------------------------------------

void append(std::vector<char>& bytes, const void* from, std::size_t length) {
  bytes.insert(bytes.end(), static_cast<const char*>(from),
               static_cast<const char*>(from) + length);
}

// An event with a directory's handle of 8 bytes, a name, and a file's handle of 12 bytes.
std::vector<char> event_bytes() {
  const auto add_record = [](std::vector<char>& bytes, std::uint8_t type, std::uint32_t length,
                             std::string_view name) {
    fanotify_event_info_header head{};
    head.info_type = type;
    head.len = static_cast<std::uint16_t>(sizeof head + sizeof(fsid_t) + 8 + length + name.size());
    const std::int32_t handle_type = 1;
    append(bytes, &head, sizeof head);
    bytes.resize(bytes.size() + sizeof(fsid_t));
    append(bytes, &length, sizeof length);
    append(bytes, &handle_type, sizeof handle_type);
    bytes.resize(bytes.size() + length, 'h');
    append(bytes, name.data(), name.size());
  };
  std::vector<char> records;
  add_record(records, FAN_EVENT_INFO_TYPE_DFID_NAME, 8, std::string_view("name\0\0\0\0", 8));
  add_record(records, FAN_EVENT_INFO_TYPE_FID, 12, {});
  fanotify_event_metadata head{};
  head.event_len = static_cast<std::uint32_t>(sizeof head + records.size());
  head.vers = FANOTIFY_METADATA_VERSION;
  head.metadata_len = sizeof head;
  head.mask = FAN_MODIFY;
  head.fd = FAN_NOFD;
  head.pid = 77;
  std::vector<char> bytes;
  append(bytes, &head, sizeof head);
  append(bytes, records.data(), records.size());
  return bytes;
}

TEST(DiskEventTest, EventsFollowOneAnother) {
  std::vector<char> bytes = event_bytes();
  const std::size_t one = bytes.size();
  bytes.insert(bytes.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(one));
  std::span<const char> unread(bytes);
  for (int i = 0; i < 2; ++i) {
    const DiskEvent event = take_disk_event(unread).value_or(DiskEvent{});
    EXPECT_EQ(event.mask, static_cast<std::uint64_t>(FAN_MODIFY));
    EXPECT_EQ(event.process, 77);
    EXPECT_EQ(event.directory.substr(8), "hhhhhhhh");
    EXPECT_EQ(event.file.substr(8), "hhhhhhhhhhhh");
  }
  EXPECT_TRUE(unread.empty());
}

TEST(DiskEventTest, WhatIsCutOffIsNoEvent) {
  const std::vector<char> whole = event_bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    // A buffer of exactly that size, so that a sanitizer catches a read beyond it.
    const std::vector<char> bytes(whole.begin(),
                                  whole.begin() + static_cast<std::ptrdiff_t>(length));
    std::span<const char> unread(bytes);
    EXPECT_FALSE(take_disk_event(unread)) << length;
  }
}

TEST(DiskEventTest, NothingIsReadOutsideOfSpoiltEvents) {
  std::mt19937 random(1);
  const auto is_within = [](DiskHandle handle, const std::vector<char>& bytes) {
    return handle.empty() || (handle.data() >= bytes.data() &&
                              handle.data() + handle.size() <= bytes.data() + bytes.size());
  };
  for (int i = 0; i < 100'000; ++i) {
    std::vector<char> bytes = event_bytes();
    for (int spoilt = 0; spoilt < 3; ++spoilt) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    std::span<const char> unread(bytes);
    const auto event = take_disk_event(unread);
    if (!event) continue;
    EXPECT_TRUE(is_within(event->directory, bytes));
    EXPECT_TRUE(is_within(event->file, bytes));
    EXPECT_LT(unread.size(), bytes.size());
  }
}

}  // namespace
}  // namespace foliofs::server
