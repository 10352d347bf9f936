// Open files: open and create, read and write, and the three ends: flush, fsync, release.
#include "mount_core.h"

namespace foliofs::vfs {

namespace {

// The flags of open(2) that concern the server when it makes a file.
constexpr int kServerCreateFlags = O_ACCMODE | O_EXCL | O_TRUNC;

std::shared_ptr<ServerOpen> make_open(std::uint64_t id, int flags, const Caller& caller,
                                      std::uint64_t incarnation) {
  auto open = std::make_shared<ServerOpen>();
  open->id = id;
  open->incarnation = incarnation;
  open->flags = flags & ServerOpen::kFlags;
  open->opener = caller;
  return open;
}

bool to_the_end(const Store& store) {
  return store.append && store.source == cache::WriteSource::kSystemCall;
}

// If the kernel keeps the file's pages, it follows such a write with an FSYNC of its own.
bool waits_for_commit(const OpenFile& file, const Store& store) {
  return store.sync != SyncWrite::kNo && !file.kernel_caches;
}

}  // namespace

OpenFileRef Operations::hold(OpenFile* file) {
  return file == nullptr ? nullptr : file->shared_from_this();
}

namespace {

// A file of up to this size comes whole with the reply to its OPEN.
constexpr std::uint64_t kSmallFileBytes = 64 << 10;

// Room for the bytes of a small file of which nothing is cached; else nullptr.
std::unique_ptr<cache::Prefill> prefill_for(MountCore& core, const InodeRef& inode, int flags) {
  const bool reads = (flags & O_ACCMODE) != O_WRONLY && (flags & (O_DIRECT | O_TRUNC)) == 0;
  const Attributes& known = inode->attributes;
  const bool small = known.is_regular() && known.size <= kSmallFileBytes && !inode->size_unknown;
  if (!reads || !small) return nullptr;
  core.prepare_mapping(inode);
  return inode->mapping->try_prefill(known.size);
}

// Sends OPEN or CREATE; once more if the server had no room for another open and has some now.
template <class Request>
Task<Result<rpc::RawReply>> send_open(MountCore& core, InodeRef inode,
                                      MountCore::HandleField<Request> handle_at,
                                      MountCore::Table<Request> request, rpc::Payload payload,
                                      bool* retried = nullptr) {
  auto reply = co_await core.exchange_on<Request>(inode, handle_at, request, payload, retried);
  bool has_room = false;
  if (!reply) has_room = co_await core.idle_opens.make_room(reply.error());
  if (has_room) {
    reply = co_await core.exchange_on<Request>(inode, handle_at, request, payload, retried);
  }
  co_return reply;
}

// The kernel gets no attributes with the reply to OPEN, and sendfile(2), copy_file_range(2),
// RWF_APPEND and locks from the end ask for none. So if it believes the file to end elsewhere it
// gets ESTALE, looks the path up once more, is told the end, and opens again. A second ESTALE it
// would pass on to the program.
bool kernel_knows_end(const Inode& inode) {
  return inode.size_unknown || inode.mapping->size() == inode.kernel.size;
}

// The kernel gets no attributes with the reply to OPEN, and reads no further than it believes the
// file to go. When it is told to drop pages, it asks. It must not believe an old mode either. Other
// openers meanwhile are not told that its pages are good.
Task<void> tell_news(MountCore& core, InodeRef inode, Attributes now, bool first) {
  const bool news = now.size != inode->kernel.size || now.mtime_ns != inode->kernel.mtime_ns;
  if (!(first && news) && !core.attributes.may_lose_set_id_bits(*inode)) co_return;
  ++inode->revalidating;
  co_await core.notifications.drop_pages(inode, ByteRange::all());
  --inode->revalidating;
  inode->revalidated.wake_all();
}

}  // namespace

std::optional<OpenedFile> Operations::try_open(const std::function<Caller()>& caller,
                                               std::int32_t thread, NodeId node, int flags) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode || (flags & O_TRUNC) != 0) return std::nullopt;
  const ServerOpen* kept = core_.idle_opens.find(*inode, flags);
  if (kept == nullptr) return std::nullopt;
  const bool settled = inode->revalidating == 0 && inode->cached_as_of &&
                       !AttributeWriteback::is_dirty(*inode) && !inode->told_of_failure &&
                       !inode->size_unknown && kernel_knows_end(*inode);
  if (!settled || core_.attributes.may_lose_set_id_bits(*inode)) return std::nullopt;
  if (kept->opener != caller()) return std::nullopt;
  core_.looking_again.erase(thread);
  OpenedFile opened = core_.open_files.add(inode, core_.idle_opens.take(*inode), flags);
  opened.keep_cache = true;
  return opened;
}

Task<Result<OpenedFile>> Operations::open(Call call, NodeId node, int flags) {
  InodeRef inode = core_.inodes.find(node);
  if (!inode) co_return Errno(ESTALE);
  if (core_.options.read_only && (flags & O_ACCMODE) != O_RDONLY) co_return Errno(EROFS);
  // A thread that cannot be told from others is never made to try again.
  const auto refused = core_.looking_again.extract(call.thread);
  const bool tries_again = call.thread == 0 || !refused.empty();
  const bool looked_up = !refused.empty() && refused.mapped() == node;
  co_await core_.attribute_writeback.write(inode);
  const std::uint64_t asked_at = core_.logical_time;
  const std::uint64_t lease = core_.leases.holds(*inode) ? inode->lease.number : 0;
  wire::OpenRequestT request;
  request.caller = caller_of(call);
  request.open_flags = static_cast<std::uint32_t>(flags & ServerOpen::kFlags);
  rpc::Payload payload;
  auto prefill = prefill_for(core_, inode, flags);
  if (prefill) {
    payload.receive = prefill->into();
    request.read_bytes = static_cast<std::uint32_t>(prefill->bytes());
  }
  auto reply = co_await send_open<wire::OpenRequest>(core_, inode, &wire::OpenRequestT::handle,
                                                     request, payload);
  if (!reply) co_return reply.error();
  const auto* opened_there = proto::view<wire::OpenReply>(reply.value().meta);
  if (opened_there == nullptr || opened_there->attributes() == nullptr) co_return Errno(EPROTO);
  const Attributes attributes = from_wire(*opened_there->attributes());
  auto server_open =
      make_open(opened_there->open_id(), flags, call.caller, reply.value().incarnation);
  const bool named = co_await core_.names.is_still(call, inode, attributes, looked_up);
  if (!named) {
    // Somebody else has removed, moved or replaced what the kernel remembers by this name.
    inode->forget_listed();
    prefill.reset();
    co_await core_.closing_opens.close(server_open);
    core_.looking_again[call.thread] = node;
    co_return Errno(ESTALE);
  }
  // The bytes and the version that they belong to are taken over with nothing in between. If
  // another reply has told of a later version, the bytes are old, too.
  const bool late = overtaken(attributes, inode->attributes);
  if (prefill && !late) prefill->arrived(reply.value().payload_bytes);
  prefill.reset();  // readers wait for it, and what follows may wait for readers
  core_.prepare_mapping(inode);
  const bool first = !inode->cached_as_of;
  server_open->asked_at = asked_at;
  server_open->lease = lease;
  OpenedFile opened = core_.open_files.add(inode, std::move(server_open), flags);
  const bool changed = co_await core_.attributes.take(inode, attributes, asked_at);
  // take() has tried once more to write the bytes that cannot be written.
  if (inode->told_of_failure) (void)inode->mapping->errors().check(opened.file->errors);
  if (reply.value().payload_bytes != 0) core_.attributes.note_access(*inode);
  opened.keep_cache = !changed && !first;
  co_await tell_news(core_, inode, attributes, first);
  if (!tries_again && !kernel_knows_end(*inode)) {
    co_await core_.open_files.drop(core_.open_files.take(opened.file.get()));
    core_.looking_again[call.thread] = node;
    co_return Errno(ESTALE);
  }
  if (!opened.keep_cache) core_.notifications.expect_pages_dropped(inode);
  co_return opened;
}

namespace {

// Opens what a CREATE has made in a session that was lost before it could answer. `incarnation`
// becomes that of the session which has opened the file.
Task<Result<wire::CreateReplyT>> open_created(MountCore& core, Call call, InodeRef parent,
                                              std::string name, int flags,
                                              std::uint64_t& incarnation) {
  auto found = co_await core.names.ask(to_wire(call.caller), parent, std::move(name));
  if (!found) co_return found.error();
  wire::OpenRequestT open;
  open.caller = caller_of(call);
  open.handle = found.value().handle;
  open.open_flags = static_cast<std::uint32_t>(flags & ServerOpen::kFlags);
  open.reclaim = true;  // it was made for this open, whatever its mode says to later ones
  auto answer = co_await core.exchange<wire::OpenRequest>(std::move(open));
  if (!answer) co_return answer.error();
  incarnation = answer.value().incarnation;
  auto opened = proto::decode<wire::OpenReply>(answer.value().meta);
  if (!opened) co_return opened.error();
  wire::CreateReplyT reply;
  reply.handle = std::move(found.value().handle);
  reply.attributes = std::move(opened.value().attributes);
  reply.open_id = opened.value().open_id;
  reply.created = true;
  co_return reply;
}

}  // namespace

Task<Result<CreatedFile>> Operations::create(Call call, NodeId parent_node, std::string name,
                                             std::uint32_t mode, int flags) {
  InodeRef parent = core_.inodes.find(parent_node);
  if (!parent) co_return Errno(ESTALE);
  if (core_.options.read_only) co_return Errno(EROFS);
  if (auto valid = check_name(name); !valid) co_return valid.error();
  wire::CreateRequestT request;
  request.caller = caller_of(call);
  request.name = name;
  request.mode = mode;
  request.umask = call.umask;
  request.open_flags = static_cast<std::uint32_t>(flags & kServerCreateFlags);
  const std::uint64_t asked_at = core_.logical_time;
  OwnChange under_way(core_, parent, name, call);
  bool retried = false;
  auto answer = co_await send_open<wire::CreateRequest>(
      core_, parent, &wire::CreateRequestT::parent, request, {}, &retried);
  std::uint64_t incarnation = answer ? answer.value().incarnation : 0;
  Result<wire::CreateReplyT> reply =
      answer ? proto::decode<wire::CreateReply>(answer.value().meta) : answer.error();
  // If the file was there already, nothing in the directory has changed.
  if (!reply || reply.value().created) {
    core_.attributes.directory_changed(
        *parent, reply ? reply.value().parent_attributes.get() : nullptr, asked_at);
  }
  if (!reply && retried && reply.error() == Errno(EEXIST)) {
    reply = co_await open_created(core_, call, parent, name, flags, incarnation);
  }
  if (!reply) co_return reply.error();
  if (!reply.value().attributes || reply.value().handle.empty()) co_return Errno(EPROTO);
  const Attributes attributes = from_wire(*reply.value().attributes);
  InodeRef inode = co_await core_.names.inode_for(parent, name, reply.value().handle, attributes);
  if (inode->mapping && (flags & O_TRUNC) != 0 && !reply.value().created) {
    // The server has truncated a file that is known here already.
    auto truncated =
        co_await inode->mapping->truncate(0, []() -> Task<Status> { co_return success(); });
    if (!truncated) co_return truncated.error();
  }
  inode = co_await core_.names.enter(parent, name, reply.value().handle, attributes, asked_at);
  if (reply.value().created) {
    core_.leases.name_seen(*inode, *parent, reply.value().parent_attributes.get(), asked_at);
  }
  if ((attributes.flags & proto::kExclusive) != 0) core_.leases.exclusive_given(*inode, asked_at);
  // An answer that was overtaken is not taken over, nor is its size of a file that was there
  // already.
  const bool late = inode->changed_at > asked_at;
  core_.attributes.changed(*inode);
  core_.prepare_mapping(inode);
  if (late && !inode->cached_as_of) inode->size_unknown = true;
  if (!inode->cached_as_of) *inode->cached_as_of = attributes;
  if (reply.value().created) inode->absent_xattrs.made(inode->attributes);
  CreatedFile created;
  created.opened = core_.open_files.add(
      inode, make_open(reply.value().open_id, flags, call.caller, incarnation), flags);
  created.entry = core_.names.entry_of(*inode, parent_node, name, KernelView::kTaken);
  core_.notifications.expect_pages_dropped(inode);
  under_way.succeeded();
  co_return created;
}

// A READ of `range` is being answered.
static void note_read(Inode& inode, ByteRange range) {
  if (inode.refilled) inode.refilled->fill(range);
  // A program's mapping has pages even if reads and writes through this open keep none.
  if (range.end > inode.mapping->size()) inode.kernel.has_end = true;
}

bool Operations::try_read(OpenFile* file, std::uint64_t offset, std::uint64_t length,
                          cache::ReadResult& result) {
  Inode& inode = *file->inode;
  if (file->direct || inode.size_unknown || file->server_open->locks_lost) return false;
  const ByteRange range = ByteRange::of(offset, length);
  if (!inode.mapping->try_read(range, &file->readahead, result)) return false;
  note_read(inode, range);
  return true;
}

Task<Result<cache::ReadResult>> Operations::read(OpenFileRef file, std::uint64_t offset,
                                                 std::uint64_t length) {
  if (file->server_open->locks_lost) co_return Errno(EIO);
  InodeRef inode = file->inode;
  auto mapping = inode->mapping;
  const ByteRange range = ByteRange::of(offset, length);
  if (inode->size_unknown) co_await core_.attributes.learn_size(inode);
  if (file->direct) co_return co_await mapping->read_direct(range);
  note_read(*inode, range);  // its page is locked, and will be filled from what is there now
  auto result = co_await mapping->read(range, &file->readahead);
  note_read(*inode, range);
  co_return result;
}

namespace {

// The pages that the kernel has filled behind the back of this WRITE. The next WRITE begins after
// it.
ByteRange take_refilled(OpenFile& file, const Store& store) {
  Inode& inode = *file.inode;
  const bool copied = store.source == cache::WriteSource::kSystemCall && !file.direct;
  if (!inode.refilled || !copied) return {};
  const ByteRange pages =
      inode.refilled->refilled_in(ByteRange::of(store.offset, store.data.size()));
  if (!inode.refilled->notifying()) inode.refilled.reset();
  return pages;
}

// Whether the store makes the file longer, and the kernel keeps no copy of it.
bool grows_uncached(const OpenFile& file, const Store& store) {
  if (to_the_end(store)) return !file.kernel_caches;
  return file.direct && store.offset + store.data.size() > file.inode->kernel.size;
}

// Whether the kernel writes back a page that may be older than a WRITE.
bool may_be_older(const Inode& inode, const Store& store) {
  return store.source == cache::WriteSource::kPageWriteback && !inode.replaced.get().empty();
}

}  // namespace

bool Operations::try_write(OpenFile* file, const Store& store) {
  Inode& inode = *file->inode;
  if (store.kill_privileges) inode.kill_privileges = true;
  if (file->direct || to_the_end(store) || waits_for_commit(*file, store)) return false;
  if (inode.refilled && store.source == cache::WriteSource::kSystemCall) return false;
  if (may_be_older(inode, store)) return false;
  if (file->server_open->locks_lost) return false;
  if (store.offset + store.data.size() > core_.tested_size) return false;
  if (!inode.mapping->try_write(store.offset, store.data, store.source)) return false;
  core_.attributes.stored(*file, store, store.offset);
  return true;
}

Task<Status> Operations::write(Call call, OpenFileRef file, Store store) {
  if (file->server_open->locks_lost) co_return Errno(EIO);
  if (store.kill_privileges) file->inode->kill_privileges = true;
  const ByteRange old_pages = take_refilled(*file, store);
  std::optional<UncachedGrowth> uncached;
  if (grows_uncached(*file, store)) uncached.emplace(core_, file->inode);
  std::shared_ptr<const ReplacedBytes> replaced;
  Status status = success();
  if (to_the_end(store)) {
    status = co_await append(call, file, store);
  } else {
    if (!old_pages.empty()) {
      replaced = ReplacedBytes::look(*file->inode->mapping, old_pages, store.offset, store.data);
      file->inode->replaced->add(replaced);
    }
    status = co_await put(call, file, store);
  }
  if (status && !old_pages.empty()) {
    co_await core_.notifications.drop_refilled(file->inode, old_pages, std::move(replaced));
  }
  if (!status || !waits_for_commit(*file, store)) co_return status;
  co_return co_await fsync(file, store.sync == SyncWrite::kData);
}

Task<Status> Operations::put(Call call, OpenFileRef file, Store store) {
  auto mapping = file->inode->mapping;
  const OwnGrowth growth(file->inode);
  const std::uint64_t end = store.offset + store.data.size();
  const bool tests_size = end > core_.tested_size;
  std::vector<std::byte> merged;
  if (may_be_older(*file->inode, store)) {
    merged.assign(store.data.begin(), store.data.end());
    file->inode->replaced.get().replace_in(store.offset, merged);
    store.data = merged;
  }
  Status status = success();
  if ((file->direct || tests_size) && store.source == cache::WriteSource::kSystemCall) {
    status = co_await mapping->write_direct(store.offset, store.data, call.abandoned);
    if (status) core_.passed_size(end);
  } else {
    status = co_await mapping->write(store.offset, store.data, store.source, call.abandoned);
  }
  if (status) core_.attributes.stored(*file, store, store.offset);
  co_return status;
}

bool Operations::try_flush(OpenFile* file, std::uint64_t lock_owner) {
  Inode& inode = *file->inode;
  if (file->server_open->locks_lost || inode.locks.get().concern({false, lock_owner})) return false;
  cache::ErrCursor cursor = file->errors;
  if (AttributeWriteback::is_dirty(inode)) return false;
  inode.lease.exclusive = 0;
  return !inode.dirty() && !inode.mtime_shown && inode.mapping->errors().check(cursor);
}

Task<Status> Operations::flush(OpenFileRef file, std::uint64_t lock_owner) {
  InodeRef inode = file->inode;
  inode->lease.exclusive = 0;  // a client that is told of this close may look
  if (file->server_open->writable()) (void)co_await core_.write_back(inode);
  co_await core_.attribute_writeback.write(inode);
  if (file->server_open->writable()) co_await core_.attribute_writeback.settle_mtime(inode);
  if (inode->locks.get().concern({false, lock_owner})) co_await drop_locks(file, lock_owner);
  Status seen = inode->mapping->errors().check(file->errors);
  inode->told_of_failure = inode->dirty() && (inode->told_of_failure || !seen);
  if (seen && file->server_open->locks_lost) co_return Errno(EIO);
  co_return seen;
}

Task<Status> Operations::fsync(OpenFileRef file, bool data_only) {
  if (file->server_open->locks_lost) co_return Errno(EIO);
  InodeRef inode = file->inode;
  (void)co_await core_.write_back(inode);
  co_await core_.attribute_writeback.write(inode);
  if (auto seen = inode->mapping->errors().check(file->errors); !seen) co_return seen;
  if (file->server_open->writable()) co_await core_.attribute_writeback.settle_mtime(inode);
  auto committed = co_await inode->io->commit(file->server_open, data_only);
  if (!committed) co_return committed;
  // What was written before may have been lost with the server's memory.
  co_return inode->mapping->errors().check(file->errors);
}

Task<void> Operations::release(OpenFile* file) {
  OpenFileRef owned = core_.open_files.take(file);
  if (!owned) co_return;
  InodeRef inode = owned->inode;
  auto server_open = owned->server_open;

  const bool writable = server_open->writable();
  if (writable && inode->dirty()) {
    // Stored after the last FLUSH, or could not be written then. Laundering needs no gate, so it
    // works here whatever went wrong before.
    auto request = core_.request_for(cache::InvalidateReason::kRelease);
    if (!inode->mapping->errors().check(owned->errors)) {
      request.mode = cache::InvalidateMode::kLaunder;
    }
    const bool told_already = inode->told_of_failure;
    co_await inode->mapping->flush(request);
    // close(2) has reported the failure, so whoever opens the file next need not be told.
    if (told_already) (void)inode->mapping->errors().check(owned->errors);
  }
  inode->lease.exclusive = 0;
  co_await core_.attribute_writeback.write(inode);
  if (writable) co_await core_.attribute_writeback.settle_mtime(inode);
  co_await drop_locks_through(owned);
  if (writable && inode->dirty() && !inode->kept_open && !core_.stopping) {
    core_.open_files.write_later(inode, server_open);
    co_return;
  }
  co_await core_.open_files.drop(owned);
}

}  // namespace foliofs::vfs
