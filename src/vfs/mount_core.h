// MountCore: what the operations of one mount share: session, cache, inodes, options, and the steps
// that several operations are made of.
#pragma once

#include <spdlog/spdlog.h>

#include <map>
#include <memory>

#include "foliofs/rpc/session.h"
#include "inode.h"
#include "inode_io.h"
#include "inode_table.h"

namespace foliofs::vfs {

class MountCore {
 public:
  MountCore(Executor on, Clock& time, rpc::Session& to, Kernel& above, MountOptions with,
            FaultPoints* faults);

  const Executor executor;
  Clock& clock;
  rpc::Session& session;
  Kernel& kernel;
  MountOptions options;
  InodeTable inodes;
  cache::Cache cache;
  std::map<OpenFile*, std::unique_ptr<OpenFile>> open_files;
  std::map<OpenDirectory*, std::unique_ptr<OpenDirectory>> open_directories;
  bool stopping = false;
  std::uint32_t background_tasks = 0;
  WaitQueue background_ended;

  // One request. When the session was lost under it, it is sent once more in the new session:
  // harmless for what can be repeated; `retried` tells those who must interpret the second answer.
  template <class Request>
  Task<Result<typename proto::Message<Request>::Reply::NativeTableType>> call(
      typename Request::NativeTableType request, bool* retried = nullptr) {
    auto reply = co_await session.call<Request>(request);
    if (!reply && reply.error() == rpc::kSessionLost) {
      if (retried != nullptr) *retried = true;
      reply = co_await session.call<Request>(request);
    }
    if (!reply && reply.error() == rpc::kSessionLost) co_return Errno(EIO);
    co_return reply;
  }

  // The same for a request that names `inode` in its field `handle_at`: when the server has lost
  // the handle, the file is looked up again and the request repeated.
  template <class Request>
  Task<Result<typename proto::Message<Request>::Reply::NativeTableType>> call_on(
      InodeRef inode, HandleBytes Request::NativeTableType::*handle_at,
      typename Request::NativeTableType request, bool* retried = nullptr) {
    request.*handle_at = inode->handle;
    auto reply = co_await call<Request>(request, retried);
    if (reply || reply.error() != Errno(ESTALE)) co_return reply;
    const bool found_again = co_await find_again(inode);
    if (!found_again) co_return Errno(ESTALE);
    request.*handle_at = inode->handle;
    co_return co_await call<Request>(request, retried);
  }

  // Looks the file up once more under its last name. True when the server gave another handle for
  // the same file.
  Task<bool> find_again(InodeRef inode);

  // The inode of a reply, with one more reference for the kernel. Its attributes are taken over;
  // if somebody else has changed the file its cache is invalidated first.
  Task<Result<Entry>> enter(InodeRef parent, std::string name, HandleBytes handle,
                            Attributes attributes);
  InodeRef inode_for(const InodeRef& parent, const std::string& name, const HandleBytes& handle);

  // Takes over what the server says of `inode`, asked for when its generation was `asked_at`.
  // True when the cache had to be invalidated because somebody else has changed the file.
  Task<bool> take_attributes(InodeRef inode, Attributes attributes, std::uint64_t asked_at);

  // What programs are shown: the server's attributes, and what is dirty here.
  Attributes shown_attributes(Inode& inode);

  // A directory of ours has changed: its times are to be asked for again.
  void directory_changed(Inode& directory) { directory.attributes_expire = {}; }

  void prepare_mapping(const InodeRef& inode);
  OpenedFile add_open_file(const InodeRef& inode, std::shared_ptr<ServerOpen> open, int flags);
  // After a flush: gives the server the modification time that programs have been shown.
  Task<void> settle_mtime(InodeRef inode);
  cache::InvalidateRequest request_for(cache::InvalidateReason reason) const {
    return {options.invalidate, reason, true};
  }
  // Bytes were stored through `file`.
  void note_store(const OpenFile& file);

  // Goes on trying to write what could not be written when the file was released.
  static Task<void> write_later(MountCore& core, InodeRef inode, std::shared_ptr<ServerOpen> open);
  // The end of that: everything is written, or there is no file any more to write it to.
  Task<void> stop_writing_later(InodeRef inode);
  Task<void> close_server_open(std::shared_ptr<ServerOpen> open);
};

// What a store by somebody unprivileged does to the mode (inode(7)).
void drop_set_id_bits(Inode& inode);

wire::CallerT to_wire(const Caller& caller);
std::unique_ptr<wire::CallerT> caller_of(const Call& call);
Status check_name(std::string_view name);

}  // namespace foliofs::vfs
