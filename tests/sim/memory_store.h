// MemoryStore: the server's FileStore in memory, with one directory of files. It fails when told
// to, and reports every change to an observer.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "foliofs/base/byte_range.h"
#include "foliofs/base/clock.h"
#include "server/file_store.h"
#include "server/inode_table.h"
#include "tests/sim/random.h"

namespace foliofs::sim {

// What can be made to fail.
enum class Failing { kWrites, kReads, kChanges /* SETATTR and COMMIT */ };

// The store calls it for every change, while the change is made, and for every failure.
class StoreObserver {
 public:
  virtual ~StoreObserver() = default;
  virtual void stored(const std::string& file, std::uint64_t offset, std::string_view bytes) = 0;
  virtual void resized(const std::string& file, std::uint64_t size) = 0;
  virtual void failed(const std::string& file, Failing what) = 0;
};

class MemoryStore final : public server::FileStore {
 public:
  // All references must outlive the store.
  MemoryStore(const Clock& clock, Random& random, StoreObserver& observer);

  void add(const std::string& name, std::string data);
  const std::string& contents(const std::string& name) const { return find(name).data; }
  std::uint32_t mode(const std::string& name) const { return find(name).mode; }

  // The server's process has restarted: it has forgotten which session has made which change.
  void restart();

  // The next `count` calls of a kind fail. A part of a failing WRITE may be stored all the same.
  void let_fail(Failing what, std::uint32_t count, int errno_value);

  // FileStore
  std::string remark() const override { return {}; }
  void drop_idle() override {}
  server::Handle root() const override { return handle_of(kRootIno); }
  Result<server::Entry> lookup(const server::CallContext& context, server::HandleView parent,
                               server::Name name) override;
  Result<wire::Attributes> attributes(const server::CallContext& context,
                                      server::HandleView file) override;
  Result<wire::Attributes> attributes(const server::CallContext& context,
                                      server::OpenFile& file) override;
  Result<wire::Attributes> set_attributes(const server::CallContext& context,
                                          server::HandleView file, server::OpenFile* open,
                                          const server::AttributeChanges& changes) override;
  Result<server::Opened> open(const server::CallContext& context, server::HandleView file,
                              int flags, bool reclaim) override;
  Result<std::size_t> read(const server::CallContext& context, server::OpenFile& file,
                           std::uint64_t offset, std::span<std::byte> into) override;
  Result<wire::Attributes> write(const server::CallContext& context, server::OpenFile& file,
                                 std::span<const server::WritePiece> pieces,
                                 const server::AttributeChanges& changes) override;
  void end_exclusive(const server::CallContext& context, server::OpenFile& file) override;
  Result<wire::Attributes> commit(const server::CallContext& context, server::OpenFile& file,
                                  bool data_only) override;

  // The workload needs no more; all of these but create() fail, or do nothing.
  Result<server::Opened> create(const server::CallContext&, server::HandleView, server::Name,
                                server::CreationMode, int) override;
  Result<server::Entry> mknod(const server::CallContext&, server::HandleView, server::Name,
                              server::CreationMode, dev_t) override;
  Result<server::Entry> mkdir(const server::CallContext&, server::HandleView, server::Name,
                              server::CreationMode) override;
  Result<server::Entry> symlink(const server::CallContext&, server::HandleView, server::Name,
                                const std::string&) override;
  Result<server::Entry> link(const server::CallContext&, server::HandleView, server::HandleView,
                             server::Name) override;
  Result<server::NamesChanged> unlink(const server::CallContext&, server::HandleView, server::Name,
                                      bool) override;
  Result<server::NamesChanged> rename(const server::CallContext&, server::HandleView, server::Name,
                                      server::HandleView, server::Name, unsigned) override;
  Result<std::string> readlink(const server::CallContext&, server::HandleView) override;
  Result<server::DirectoryRead> read_directory(const server::CallContext&, server::HandleView,
                                               std::uint64_t, bool,
                                               server::DirectorySink&) override;
  Result<server::Space> space(const server::CallContext&, server::HandleView) override;
  Result<std::size_t> get_xattr(const server::CallContext&, server::HandleView, server::XattrName,
                                std::span<std::byte>) override;
  Result<std::size_t> list_xattrs(const server::CallContext&, server::HandleView,
                                  std::span<std::byte>) override;
  Result<wire::Attributes> set_xattr(const server::CallContext&, server::HandleView,
                                     server::XattrName, std::span<const std::byte>, int) override;
  Result<wire::Attributes> remove_xattr(const server::CallContext&, server::HandleView,
                                        server::XattrName) override;
  Status drop_set_id_bits(const server::CallContext&, server::OpenFile&) override {
    return success();
  }
  Result<server::Appended> append(const server::CallContext&, server::OpenFile&,
                                  std::span<const std::byte>) override;
  Result<wire::Attributes> allocate(const server::CallContext&, server::OpenFile&, unsigned,
                                    std::uint64_t, std::uint64_t) override;
  Result<std::uint64_t> seek(const server::CallContext&, server::OpenFile&, std::uint64_t,
                             bool) override;
  Result<server::Copied> copy(const server::CallContext&, server::OpenFile&, std::uint64_t,
                              server::OpenFile&, std::uint64_t, std::uint64_t) override;

 private:
  static constexpr std::uint64_t kRootIno = 1;

  struct File {
    File(std::uint64_t number, std::string called) : ino(number), name(std::move(called)) {}
    const std::uint64_t ino;
    const std::string name;
    std::string data;
    std::uint32_t mode = 0644;
    std::uint32_t opens = 0;
    std::int64_t atime_ns = 0, mtime_ns = 0, ctime_ns = 0;
    // How many changes each session has made, as this process of the server knows, and the leases.
    std::shared_ptr<server::Inode> changes = std::make_shared<server::Inode>(/*epoch=*/1);
  };
  struct Open final : server::OpenFile {
    explicit Open(std::shared_ptr<File> f) : file(std::move(f)) { ++file->opens; }
    ~Open() override { --file->opens; }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    server::FileId id() const override { return {0, file->ino, 0}; }
    const std::shared_ptr<File> file;
    bool exclusive = false;  // an exclusive lease came with this open
  };

  static server::Handle handle_of(std::uint64_t ino);
  const File& find(const std::string& name) const;
  Result<std::shared_ptr<File>> find(server::HandleView handle) const;
  // kLeaseHeld when another session has an exclusive lease, as in LocalStore.
  static Status may_look_at(const server::CallContext& context, const File& file);
  static File& file_of(server::OpenFile& open) { return *static_cast<Open&>(open).file; }
  static server::ChangeStamp stamp_of(const File& file);
  std::int64_t next_time();
  // Ends the change that begin_change() has begun, and the leases of other sessions.
  static wire::Attributes end_change(const server::CallContext& context, const File& file,
                                     bool changed);
  // Also gives the caller's session a lease of the file.
  static wire::Attributes attributes_of(const server::CallContext& context, const File& file);
  static wire::Attributes describe(const File& file, server::ChangeCounts counts,
                                   std::uint32_t flags);
  wire::Attributes root_attributes() const;
  void resize(File& file, std::uint64_t size);
  void store(File& file, std::uint64_t offset, std::string_view bytes);
  // The error if this call is to fail; then the observer has been told.
  std::optional<Errno> failure(File& file, Failing what);

  const Clock& clock_;
  Random& random_;
  StoreObserver& observer_;
  std::vector<std::shared_ptr<File>> files_;  // from inode 2 on
  std::int64_t last_time_ = 0;
  std::uint64_t run_ = 1;
  struct Failures {
    std::uint32_t count = 0;
    int errno_value = 0;
  };
  std::map<Failing, Failures> failures_;
};

}  // namespace foliofs::sim
