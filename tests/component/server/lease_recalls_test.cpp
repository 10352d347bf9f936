// Which leases each kind of change ends, and that its reply waits until they are returned.
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/xattr.h>

#include "tests/component/server/leases_fixture.h"

namespace foliofs::server {
namespace {

using ::testing::UnorderedElementsAre;

class LeaseRecalls : public LeasesTest {
 protected:
  using Lost = std::vector<std::string>;

  // The leases that the holder loses by a change of the other session. That session must get its
  // reply only after the holder has returned them.
  template <class Native>
  Lost lost_by(const Native& request, std::string_view payload = {}) {
    using Message = proto::Message<typename Native::TableType>;
    const FrameHeader header = other_->next(Message::kType);
    EXPECT_TRUE(other_->send(header, request, payload));
    const auto recalled = holder_->next_recall();
    EXPECT_NE(recalled.recall, 0u);
    EXPECT_FALSE(recalled.everything);
    EXPECT_TRUE(hears_nothing(*other_));
    EXPECT_TRUE(holder_->give_back({recalled.recall}));
    auto answer = other_->template read_answer<typename Message::Reply>(header);
    EXPECT_TRUE(answer) << errno_name(answer.error());
    EXPECT_TRUE(hears_nothing(*holder_));
    return holder_->describe(recalled);
  }
  // A request of the session that makes the change.
  template <class Native>
  Native from_other() const {
    Native request;
    request.caller = other_->caller();
    return request;
  }
  template <class Native>
  Native at(const Bytes& parent, const std::string& name) const {
    auto request = from_other<Native>();
    request.parent = parent;
    request.name = name;
    return request;
  }
  template <class Native>
  Native of(const Bytes& handle) const {
    auto request = from_other<Native>();
    request.handle = handle;
    return request;
  }
  wire::RenameRequestT rename(const Bytes& parent, const std::string& name, const Bytes& new_parent,
                              const std::string& new_name, std::uint32_t flags = 0) const {
    auto request = at<wire::RenameRequestT>(parent, name);
    request.new_parent = new_parent;
    request.new_name = new_name;
    request.flags = flags;
    return request;
  }
  wire::SetAttrRequestT set_mode(const Bytes& handle, std::uint32_t mode) const {
    auto request = of<wire::SetAttrRequestT>(handle);
    request.valid = proto::kSetMode;
    request.mode = mode;
    return request;
  }
  wire::LinkRequestT link(const Bytes& handle, const Bytes& parent, const std::string& name) const {
    auto request = at<wire::LinkRequestT>(parent, name);
    request.handle = handle;
    return request;
  }
};

// --- Data and attributes ------------------------------------------------------------------------

TEST_F(LeaseRecalls, Write) {
  auto request = write_request(open_file(*other_, file_));
  EXPECT_THAT(lost_by(request, "new"), UnorderedElementsAre("file"));
  request.flags = proto::kWriteAppend;
  EXPECT_TRUE(holder_->gets_lease(file_));
  EXPECT_THAT(lost_by(request, "more"), UnorderedElementsAre("file"));
}

TEST_F(LeaseRecalls, TheHolderLearnsHowOftenOthersHaveChangedTheFile) {
  auto before = holder_->get_attr(file_);
  ASSERT_TRUE(before);
  const FrameHeader header = other_->next(MessageType::kSetAttr);
  ASSERT_TRUE(other_->send(header, set_mode(file_, 0600)));
  const auto recalled = holder_->next_recall();
  ASSERT_EQ(recalled.leases.size(), 1u);
  EXPECT_EQ(recalled.leases[0]->change_epoch, before.value().reply.attributes->change_epoch());
  EXPECT_EQ(recalled.leases[0]->foreign_changes,
            before.value().reply.attributes->foreign_changes() + 1);
  // The holder may look meanwhile, but gets no lease.
  auto meanwhile = holder_->get_attr(file_);
  ASSERT_TRUE(meanwhile);
  EXPECT_EQ(meanwhile.value().reply.attributes->mode() & 07777, 0600u);
  EXPECT_EQ(meanwhile.value().reply.attributes->foreign_changes(),
            recalled.leases[0]->foreign_changes);
  EXPECT_FALSE(is_leased(meanwhile.value().reply.attributes));
  ASSERT_TRUE(holder_->give_back({recalled.recall}));
  EXPECT_TRUE(other_->read_answer<wire::AttrReply>(header));
  EXPECT_TRUE(holder_->gets_lease(file_));
}

// A client that was told that a name does not exist is told when it is made.
TEST_F(LeaseRecalls, AbsentName) {
  auto look = [&](bool tell_absence) {
    wire::LookupRequestT request;
    request.caller = holder_->caller();
    request.parent = below_;
    request.name = "made";
    request.tell_absence = tell_absence;
    return holder_->call(request);
  };
  EXPECT_EQ(errno_of(look(false)), ENOENT);
  auto absent = look(true);
  ASSERT_TRUE(absent);
  EXPECT_TRUE(absent.value().reply.handle.empty());
  EXPECT_FALSE(absent.value().reply.attributes);
  EXPECT_TRUE(is_leased(absent.value().reply.parent_attributes));
  EXPECT_THAT(lost_by(at<wire::MkdirRequestT>(below_, "made")),
              UnorderedElementsAre("below: made"));
  auto found = look(true);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found.value().reply.handle.empty());
}

TEST_F(LeaseRecalls, SetAttr) {
  EXPECT_THAT(lost_by(set_mode(file_, 0600)), UnorderedElementsAre("file"));
  EXPECT_THAT(lost_by(set_mode(directory_, 0700)), UnorderedElementsAre("directory"));
  auto truncate = of<wire::SetAttrRequestT>(other_file_);
  truncate.valid = proto::kSetSize;
  EXPECT_THAT(lost_by(truncate), UnorderedElementsAre("other"));
}

TEST_F(LeaseRecalls, OpenEndsOneOnlyWhenItTruncates) {
  EXPECT_NE(open_file(*other_, file_, O_RDWR), 0u);
  EXPECT_TRUE(hears_nothing(*holder_));
  auto request = of<wire::OpenRequestT>(file_);
  request.open_flags = O_WRONLY | O_TRUNC;
  EXPECT_THAT(lost_by(request), UnorderedElementsAre("file"));
}

TEST_F(LeaseRecalls, Xattrs) {
  auto set = of<wire::SetXattrRequestT>(file_);
  set.name = "user.a";
  EXPECT_THAT(lost_by(set, "value"), UnorderedElementsAre("file"));
  EXPECT_TRUE(holder_->gets_lease(file_));
  auto remove = of<wire::RemoveXattrRequestT>(file_);
  remove.name = "user.a";
  EXPECT_THAT(lost_by(remove), UnorderedElementsAre("file"));
}

TEST_F(LeaseRecalls, Ranges) {
  wire::AllocateRequestT allocate;
  allocate.open_id = open_file(*other_, file_);
  allocate.length = 100;
  EXPECT_THAT(lost_by(allocate), UnorderedElementsAre("file"));
  wire::CopyRangeRequestT copy;
  copy.from_open = allocate.open_id;
  copy.to_open = open_file(*other_, other_file_);
  copy.length = 4;
  EXPECT_THAT(lost_by(copy), UnorderedElementsAre("other"));
}

// --- Names --------------------------------------------------------------------------------------

TEST_F(LeaseRecalls, NewNames) {
  auto create = other_->create_request(directory_, "created");
  EXPECT_THAT(lost_by(create), UnorderedElementsAre("directory: created"));
  EXPECT_TRUE(holder_->gets_lease(directory_));
  auto mknod = at<wire::MknodRequestT>(directory_, "fifo");
  mknod.mode = S_IFIFO | 0644;
  EXPECT_THAT(lost_by(mknod), UnorderedElementsAre("directory: fifo"));
  EXPECT_TRUE(holder_->gets_lease(directory_));
  auto mkdir = at<wire::MkdirRequestT>(directory_, "made");
  mkdir.mode = 0755;
  EXPECT_THAT(lost_by(mkdir), UnorderedElementsAre("directory: made"));
  EXPECT_TRUE(holder_->gets_lease(directory_));
  auto symlink = at<wire::SymlinkRequestT>(directory_, "symlink");
  symlink.target = {'x'};
  EXPECT_THAT(lost_by(symlink), UnorderedElementsAre("directory: symlink"));
}

// The holder gets a recall for each change without asking for a new lease, because it goes on using
// the other names.
TEST_F(LeaseRecalls, OfADirectoryAreEndedByEveryChange) {
  for (const char* name : {"a", "b"}) {
    auto mkdir = at<wire::MkdirRequestT>(directory_, name);
    mkdir.mode = 0755;
    EXPECT_THAT(lost_by(mkdir), UnorderedElementsAre(std::string("directory: ") + name));
  }
}

TEST_F(LeaseRecalls, CreateOfAFileThatIsThere) {
  auto create = other_->create_request(directory_, "inner", O_RDWR);
  EXPECT_TRUE(other_->call(create));
  EXPECT_TRUE(hears_nothing(*holder_));
  create.open_flags = O_RDWR | O_TRUNC;
  EXPECT_THAT(lost_by(create), UnorderedElementsAre("inner"));
}

TEST_F(LeaseRecalls, LinkAndUnlink) {
  EXPECT_THAT(lost_by(link(file_, directory_, "linked")),
              UnorderedElementsAre("file", "directory: linked"));
  EXPECT_FALSE(holder_->gets_lease(file_));  // the file has two names
  EXPECT_TRUE(holder_->gets_lease(directory_));
  EXPECT_THAT(lost_by(at<wire::UnlinkRequestT>(directory_, "linked")),
              UnorderedElementsAre("file", "directory: linked"));
  EXPECT_TRUE(holder_->gets_lease(file_));
  EXPECT_TRUE(holder_->gets_lease(directory_));
  EXPECT_THAT(lost_by(at<wire::UnlinkRequestT>(directory_, "inner")),
              UnorderedElementsAre("inner", "directory: inner"));
  EXPECT_TRUE(holder_->gets_lease(directory_));
  auto rmdir = at<wire::UnlinkRequestT>(directory_, "below");
  rmdir.directory = true;
  EXPECT_THAT(lost_by(rmdir), UnorderedElementsAre("below", "directory: below"));
}

TEST_F(LeaseRecalls, RenameWithinADirectory) {
  EXPECT_THAT(lost_by(rename(directory_, "inner", directory_, "new")),
              UnorderedElementsAre("inner", "directory: inner new"));
}

TEST_F(LeaseRecalls, RenameOverAnother) {
  EXPECT_THAT(lost_by(rename(root_, "file", root_, "other")),
              UnorderedElementsAre("file", "other", "root: file other"));
}

TEST_F(LeaseRecalls, RenameAcrossDirectories) {
  EXPECT_THAT(lost_by(rename(root_, "file", directory_, "new")),
              UnorderedElementsAre("file", "root: file", "directory: new"));
}

TEST_F(LeaseRecalls, RenameOverAnotherAcrossDirectories) {
  EXPECT_THAT(lost_by(rename(directory_, "inner", root_, "other")),
              UnorderedElementsAre("inner", "other", "directory: inner", "root: other"));
}

TEST_F(LeaseRecalls, RenameOfADirectory) {
  EXPECT_THAT(lost_by(rename(directory_, "below", root_, "moved")),
              UnorderedElementsAre("below", "directory: below", "root: moved"));
}

TEST_F(LeaseRecalls, Exchange) {
  EXPECT_THAT(lost_by(rename(directory_, "inner", root_, "other", RENAME_EXCHANGE)),
              UnorderedElementsAre("inner", "other", "directory: inner", "root: other"));
}

// --- What ends none -----------------------------------------------------------------------------

TEST_F(LeaseRecalls, AFailedChangeEndsNone) {
  ASSERT_EQ(::setxattr((tree() / "file").c_str(), "user.a", "x", 1, 0), 0);
  EXPECT_TRUE(holder_->gets_lease(file_));
  const auto error_of = [&](const auto& request) {
    return errno_of(other_->call(request));
  };

  EXPECT_EQ(error_of(other_->create_request(root_, "file", O_RDWR | O_EXCL)), EEXIST);
  EXPECT_EQ(error_of(at<wire::MkdirRequestT>(root_, "file")), EEXIST);
  EXPECT_EQ(error_of(link(file_, directory_, "inner")), EEXIST);
  EXPECT_EQ(error_of(rename(root_, "file", directory_, "inner", RENAME_NOREPLACE)), EEXIST);
  EXPECT_EQ(error_of(rename(root_, "none", directory_, "inner")), ENOENT);
  EXPECT_EQ(error_of(rename(root_, "file", root_, "directory")), EISDIR);
  EXPECT_EQ(error_of(at<wire::UnlinkRequestT>(root_, "none")), ENOENT);
  EXPECT_EQ(error_of(at<wire::UnlinkRequestT>(root_, "directory")), EISDIR);
  auto rmdir = at<wire::UnlinkRequestT>(root_, "directory");
  rmdir.directory = true;
  EXPECT_EQ(error_of(rmdir), ENOTEMPTY);
  auto set = of<wire::SetXattrRequestT>(file_);
  set.name = "user.a";
  set.flags = XATTR_CREATE;
  EXPECT_EQ(error_of(set), EEXIST);
  EXPECT_EQ(errno_of(other_->call(write_request(open_file(*other_, file_, O_RDONLY)), "x")), EBADF);
  if (::geteuid() == 0) {
    other_->uid = other_->gid = 65534;
    EXPECT_EQ(error_of(other_->create_request(directory_, "new")), EACCES);
    EXPECT_EQ(error_of(at<wire::UnlinkRequestT>(root_, "file")), EACCES);
    EXPECT_EQ(error_of(rename(root_, "file", directory_, "new")), EACCES);
    EXPECT_EQ(error_of(set_mode(file_, 0600)), EPERM);
    auto open = of<wire::OpenRequestT>(file_);
    open.open_flags = O_WRONLY | O_TRUNC;
    EXPECT_EQ(error_of(open), EACCES);
  }

  EXPECT_TRUE(hears_nothing(*holder_));
  for (const Bytes& handle : {root_, file_, directory_, inner_, below_}) {
    EXPECT_TRUE(holder_->gets_lease(handle));
  }
}

TEST_F(LeaseRecalls, LookingEndsNone) {
  const std::uint64_t open_id = open_file(*other_, file_);
  EXPECT_TRUE(other_->read(open_id, 0, 10));
  EXPECT_TRUE(other_->get_attr(file_, open_id));
  EXPECT_TRUE(other_->lookup(directory_, "inner"));
  wire::CommitRequestT commit;
  commit.open_id = open_id;
  EXPECT_TRUE(other_->call(commit));
  EXPECT_TRUE(other_->close(open_id));
  EXPECT_TRUE(hears_nothing(*holder_));
}

TEST_F(LeaseRecalls, OwnChangesEndNone) {
  const std::uint64_t open_id = open_file(*holder_, file_);
  auto written = holder_->write(open_id, 0, "new");
  ASSERT_TRUE(written);
  EXPECT_TRUE(is_leased(written.value().reply.attributes));
  auto made = holder_->mkdir(directory_, "made");
  ASSERT_TRUE(made);
  EXPECT_TRUE(is_leased(made.value().reply.parent_attributes));
  auto removed = holder_->unlink(directory_, "inner");
  ASSERT_TRUE(removed);
  EXPECT_TRUE(is_leased(removed.value().reply.parent_attributes));
  EXPECT_TRUE(holder_->call(rename(root_, "other", directory_, "moved")));
  EXPECT_TRUE(hears_nothing(*holder_));
  for (const Bytes& handle : {root_, file_, directory_, other_file_}) {
    EXPECT_TRUE(holder_->gets_lease(handle));
  }
}

}  // namespace
}  // namespace foliofs::server
