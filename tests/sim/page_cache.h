// PageCache: the kernel above one client, as far as invalidation is concerned
// (docs/ARCHITECTURE.md; from fs/fuse/{file,inode,dir,dev}.c and mm/{truncate,filemap}.c).
//
// - A page is locked while a READ fills it; read(2) and faults wait for that.
// - write(2) copies into pages and sends a WRITE before it returns; it holds the inode's lock.
// - A store to a mapping makes its page dirty; the page is written back as a WRITE with
//   FUSE_WRITE_CACHE, and stores to it wait until that is done.
// - A notification drops pages one after the other: it locks each page, waits for its writeback,
//   launders it if it is dirty, and drops it. One thread sends all notifications.
// - A truncating SETATTR waits for the pages' WRITEs in flight and holds back new ones until it is
//   answered; then it drops what is beyond the end, and invalidates the rest.
// - The kernel believes attributes for as long as the client has said. It does not believe an
//   answer when a change through this kernel or a notification came after the question; the program
//   that has asked is shown that answer all the same.
// - FLUSH is sent after the dirty pages of the file, and not at all if one of those failed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "foliofs/base/wait_queue.h"
#include "foliofs/vfs/mount.h"
#include "foliofs/vfs/operations.h"
#include "tests/sim/random.h"
#include "tests/sim/reference.h"
#include "tests/sim/wait_graph.h"

namespace foliofs::sim {

class PageCache final : public vfs::Kernel {
 public:
  static constexpr std::uint64_t kPage = 4096;

  // All references must outlive it. The programs and the notifier run on `executor`. `reference` is
  // told of pages that are written back whole.
  PageCache(Executor executor, Clock& clock, Random& random, WaitGraph& graph, Reference& reference,
            int client);

  // What the kernel sends its requests to.
  void attach(vfs::Operations& operations) { operations_ = &operations; }
  // The notifier's thread; returns after stop().
  Task<void> run_notifier();
  void stop();
  // Called when a RELEASE is over that began at `since`; 0 when pages of the file were dirty then.
  std::function<void(const std::string& file, Moment since)> on_released;
  // RELEASEs that are not over.
  std::uint32_t releases = 0;

  struct File;
  // The kernel's struct file: descriptors and mappings share it.
  struct Description {
    std::shared_ptr<File> file;
    vfs::OpenFileRef opened;
    std::uint32_t references = 1;
  };
  using DescriptionRef = std::shared_ptr<Description>;

  // The kernel has looked up `name` and got `entry`.
  void enter(const std::string& name, const vfs::Entry& entry);
  static const std::string& name_of(const Description& description);
  // --- System calls; `who` is for the wait graph ------------------------------------------------

  // With `create`, as O_CREAT for a name that the kernel does not know.
  Task<Result<DescriptionRef>> open(std::string who, std::string name, bool create);
  Task<Status> chmod(std::string who, DescriptionRef description, std::uint32_t mode);
  struct Bytes {
    std::string data;  // less than asked: the file ends there
    // Linux ignores the size in an answer if a notification came after the question. A read then
    // ends where the file ended before.
    bool size_ignored = false;
  };
  Task<Result<Bytes>> read(std::string who, DescriptionRef description, ByteRange range);
  // Writes the value that `happens` returns to all of `range`; nothing if that is 0. `happens` is
  // called once the inode is locked.
  Task<Status> write(std::string who, DescriptionRef description, ByteRange range,
                     std::function<char()> happens);
  // `happens` is called once the inode is locked.
  Task<Status> truncate(std::string who, DescriptionRef description, std::uint64_t size,
                        std::function<void()> happens);
  Task<Status> fsync(std::string who, DescriptionRef description);
  // close(2) of one descriptor. Decrements `references`; the last close sends RELEASE.
  Task<Status> close(std::string who, DescriptionRef description);
  // munmap(2), after writing back what is dirty.
  Task<void> unmap(std::string who, DescriptionRef description);
  // A store to, and a load from, a mapping; `range` lies in one page. EFAULT (SIGBUS) beyond the
  // end. `happens` is called at the moment of the store.
  Task<Status> store(std::string who, DescriptionRef description, ByteRange range,
                     std::function<char()> happens);
  Task<Result<Bytes>> load(std::string who, DescriptionRef description, ByteRange range);

  // How many WRITEs of pages have failed.
  std::uint32_t page_errors(const std::string& name) const;
  // Pages that are dirty or under writeback, up to the end of the file.
  std::vector<Reference::Piece> dirty(const std::string& name) const;
  struct Stat {
    std::uint64_t size = 0;
    std::uint32_t mode = 0;  // permission bits
  };
  Task<Result<Stat>> stat(std::string who, std::string name);

  // vfs::Kernel
  Task<void> invalidate_pages(std::uint64_t node, ByteRange range) override;
  Task<void> extend(std::uint64_t node, std::uint64_t size, std::byte last) override;
  Task<void> expire_attributes(std::vector<vfs::KernelNode> nodes) override;
  // This kernel keeps no names.
  Task<void> expire_names(std::vector<vfs::KernelName>) override { co_return; }
  bool keeps_expired_names() const override { return true; }
  bool expires_absent_names() const override { return true; }
  Task<void> forget(std::vector<vfs::KernelFile>) override { co_return; }

 private:
  struct Page;
  using PageRef = std::shared_ptr<Page>;
  using FileRef = std::shared_ptr<File>;
  struct Notification;

  std::string page_name(const File& file, std::uint64_t index) const;
  // Locks the page for `who`; makes it if it is not cached.
  Task<PageRef> lock_page(std::string who, FileRef file, std::uint64_t index);
  // The same, but null if the page is not cached.
  Task<PageRef> lock_cached(std::string who, FileRef file, std::uint64_t index);
  static void unlock(Page& page);
  static bool cached(const File& file, const PageRef& page);
  Task<void> wait_on_writeback(std::string who, FileRef file, PageRef page);
  // An uptodate page, unlocked, if necessary after a READ; the READ also brings the absent pages
  // that follow, up to the one at index `ahead`.
  Task<Result<PageRef>> read_page(std::string who, DescriptionRef description, std::uint64_t index,
                                  std::uint64_t ahead);
  Task<Status> fill(std::string who, DescriptionRef description, std::vector<PageRef> pages);
  struct Answer {
    std::uint64_t size = 0;
    std::uint32_t mode = 0;
    bool believed = false;
  };
  Task<Result<vfs::OpenedFile>> ask_open(std::string who, FileRef file);
  Task<Result<Answer>> ask_attributes(std::string who, FileRef file, vfs::OpenFileRef opened);
  // Handles `said`, the answer to a question that was asked when attribute_version was `version`.
  Task<Answer> take_answer(std::string who, FileRef file, std::uint64_t version,
                           vfs::Attributes said, Duration timeout);
  static void expire_attributes_of(File& file);
  Task<Status> write_page_part(std::string who, DescriptionRef description, ByteRange part,
                               char value);
  // Writes back a dirty page, which is locked; unlocks it before that, or keeps it locked.
  Task<void> write_back(FileRef file, PageRef page, bool keep_locked);
  // Writes back what is dirty of the file; errors stay with the file.
  Task<void> write_and_wait(std::string who, FileRef file);
  static Status take_error(File& file);
  Task<void> invalidate_range(std::string who, FileRef file, ByteRange range);
  Task<void> truncate_pages(std::string who, FileRef file, std::uint64_t size);
  // The program's thread handles the answer only when it runs again; notifications may come before.
  Task<Status> send_setattr(std::string who, DescriptionRef description,
                            vfs::AttributeChange change);
  void drop_reference(const DescriptionRef& description);
  Task<void> release(DescriptionRef description);
  Task<void> lock_inode(std::string who, FileRef file);
  static void unlock_inode(File& file);
  Task<void> store_last(std::string who, FileRef file, std::uint64_t size, std::byte last);
  Task<void> wait_for(std::shared_ptr<Notification> notification);
  Task<void> send(std::shared_ptr<Notification> notification);
  FileRef find(std::uint64_t node) const;
  Task<Status> store_in_core(std::string who, FileRef file, vfs::OpenFileRef opened,
                             vfs::Store store);
  std::string core_of(const File& file) const;
  std::string notifier() const;

  const Executor executor_;
  Clock& clock_;
  Random& random_;
  WaitGraph& graph_;
  Reference& reference_;
  const int client_;
  const std::string name_;  // "A" or "B"
  vfs::Operations* operations_ = nullptr;
  std::map<std::string, FileRef> files_;
  std::vector<std::shared_ptr<Notification>> notifications_;
  WaitQueue notified_;
  bool stopping_ = false;
};

}  // namespace foliofs::sim
