// InodeIo: how the cache reaches one file: READ and WRITE over one of its opens, and the kernel's
// pages above it. The mapping holds it, so it may outlive the inode by the length of a fetch.
#pragma once

#include <memory>
#include <vector>

#include "foliofs/cache/folio_store.h"
#include "foliofs/rpc/session.h"
#include "inode.h"

namespace foliofs::vfs {

class MountCore;

class InodeIo final : public cache::FolioStore, public cache::KernelPages {
 public:
  InodeIo(MountCore& core, std::weak_ptr<Inode> inode);

  // EBADF when no open of the file allows it.
  Task<Result<std::uint64_t>> read(std::uint64_t offset, std::span<const iovec> into) override;
  Task<Status> write(cache::StoreWrite write) override;
  Task<void> invalidate(ByteRange range) override;

  // Sets the server's mtime without writing anything.
  Task<Status> set_mtime(std::int64_t mtime_ns);
  Task<Status> commit(std::shared_ptr<ServerOpen> open, bool data_only);

  void add(std::shared_ptr<ServerOpen> open) { opens_.push_back(std::move(open)); }
  void remove(const std::shared_ptr<ServerOpen>& open) { std::erase(opens_, open); }
  bool readable() const { return find(&ServerOpen::readable) != nullptr; }

  // Stores came through `open` last: they are written back through it, so that the server sees who
  // wrote (set-id bits, reserved blocks).
  void prefer(const std::shared_ptr<ServerOpen>& open);

  // Makes `open` valid in the present session. ESTALE when the file is gone.
  Task<Status> ensure_current(std::shared_ptr<ServerOpen> open);

 private:
  // Opens the file again in the present session, by another handle if need be.
  Task<Status> reopen(ServerOpen& open);
  std::shared_ptr<ServerOpen> find(bool (ServerOpen::*suitable)() const) const;
  // Attributes after a change of our own.
  void changed_by_us(const wire::Attributes& wire);
  // Records an error when the server's machine was restarted under bytes that were not committed.
  void check_verifier(Inode& inode);
  void note_acknowledged();

  rpc::Session& session_;
  Kernel& kernel_;
  const std::weak_ptr<MountCore*> core_;
  const std::weak_ptr<Inode> inode_;
  std::vector<std::shared_ptr<ServerOpen>> opens_;
  WaitQueue reopened_;
};

}  // namespace foliofs::vfs
