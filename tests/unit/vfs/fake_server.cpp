#include "tests/unit/vfs/fake_server.h"

#include <cstdio>

namespace foliofs::test {

std::vector<std::uint8_t> FakeServer::handle_of(const ServerFile& file) const {
  const std::uint64_t numbers[2] = {descriptor_handles ? run_ : 0, file.ino};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(numbers);
  return {bytes, bytes + sizeof numbers};
}

ServerFile* FakeServer::find(const std::vector<std::uint8_t>& handle) {
  std::uint64_t numbers[2] = {};
  if (handle.size() != sizeof numbers) return nullptr;
  std::memcpy(numbers, handle.data(), sizeof numbers);
  if (numbers[0] != (descriptor_handles ? run_ : 0)) return nullptr;
  auto found = files_.find(numbers[1]);
  return found == files_.end() || found->second.nlink == 0 ? nullptr : &found->second;
}

ServerFile* FakeServer::find_open(std::uint64_t open_id) {
  auto found = opens_.find(open_id);
  return found == opens_.end() ? nullptr : &files_.at(found->second.ino);
}

std::unique_ptr<wire::Attributes> FakeServer::attributes_of(const ServerFile& file) const {
  return std::make_unique<wire::Attributes>(
      file.ino, file.data.size(), (file.data.size() + 511) / 512, 0,
      std::max(file.mtime_ns, file.atime_ns), file.mtime_ns, file.ctime_ns, file.btime_ns,
      file.foreign_changes, run_, file.mode, file.nlink, file.uid, 0, 4096, flags_of(file));
}

std::uint32_t FakeServer::flags_of(const ServerFile& file) const {
  const bool has_any = std::any_of(file.xattrs.begin(), file.xattrs.end(), [](const auto& xattr) {
    return xattr.first.starts_with("security.") || xattr.first.starts_with("system.");
  });
  const std::uint32_t xattrs = has_any ? 0u : std::uint32_t{proto::kNoSecurityXattrs};
  return xattrs | (is_leased(file) ? std::uint32_t{proto::kLeased} : 0u);
}

FakeServer::Reply FakeServer::entry(const ServerFile& file, const ServerFile& parent) const {
  wire::EntryReplyT reply;
  reply.handle = handle_of(file);
  reply.attributes = attributes_of(file);
  reply.parent_attributes = attributes_of(parent);
  return encoded(reply);
}

bool FakeServer::may_open(const ServerFile& file, const wire::CallerT& caller, int flags) const {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  return !checks_write || !writes || caller.uid == 0 || (file.mode & 0222) != 0;
}

template <class Request>
FakeServer::Reply FakeServer::run(
    const Frame& frame, Reply (FakeServer::*handler)(const typename Request::NativeTableType&)) {
  auto request = proto::decode<Request>(frame.meta);
  if (!request) return failed(EPROTO);
  Seen what{frame.header.type, 0, false};
  if constexpr (requires { request.value().caller; }) {
    if (request.value().caller) what.uid = request.value().caller->uid;
  }
  if constexpr (requires { request.value().reclaim; }) what.reclaim = request.value().reclaim;
  seen.push_back(what);
  auto fails_with = fails.find(frame.header.type);
  if (fails_with != fails.end()) return failed(fails_with->second);
  return (this->*handler)(request.value());
}

FakeServer::Reply FakeServer::execute(const Frame& frame) {
  switch (frame.header.type) {
    case MessageType::kHello:
      return run<wire::HelloRequest>(frame, &FakeServer::hello);
    case MessageType::kLookup:
      return run<wire::LookupRequest>(frame, &FakeServer::lookup);
    case MessageType::kCreate:
      return run<wire::CreateRequest>(frame, &FakeServer::create);
    case MessageType::kMkdir:
      return run<wire::MkdirRequest>(frame, &FakeServer::mkdir);
    case MessageType::kLink:
      return run<wire::LinkRequest>(frame, &FakeServer::link);
    case MessageType::kUnlink:
      return run<wire::UnlinkRequest>(frame, &FakeServer::unlink);
    case MessageType::kRename:
      return run<wire::RenameRequest>(frame, &FakeServer::rename);
    case MessageType::kReadDir:
      return run<wire::ReadDirRequest>(frame, &FakeServer::read_dir);
    case MessageType::kGetAttr:
      return run<wire::GetAttrRequest>(frame, &FakeServer::get_attr);
    case MessageType::kSetAttr:
      return run<wire::SetAttrRequest>(frame, &FakeServer::set_attr);
    case MessageType::kOpen:
      return run<wire::OpenRequest>(frame, &FakeServer::open);
    case MessageType::kClose:
      return run<wire::CloseRequest>(frame, &FakeServer::close);
    case MessageType::kRead:
      return run<wire::ReadRequest>(frame, &FakeServer::read);
    case MessageType::kCommit:
      return run<wire::CommitRequest>(frame, &FakeServer::commit);
    case MessageType::kAllocate:
      return run<wire::AllocateRequest>(frame, &FakeServer::allocate);
    case MessageType::kSeek:
      return run<wire::SeekRequest>(frame, &FakeServer::seek);
    case MessageType::kCopyRange:
      return run<wire::CopyRangeRequest>(frame, &FakeServer::copy_range);
    case MessageType::kWrite:
      return write(frame);
    case MessageType::kGetXattr:
      return run<wire::GetXattrRequest>(frame, &FakeServer::get_xattr);
    case MessageType::kSetXattr:
      return set_xattr(frame);
    case MessageType::kListXattr:
      return run<wire::ListXattrRequest>(frame, &FakeServer::list_xattr);
    case MessageType::kRemoveXattr:
      return run<wire::RemoveXattrRequest>(frame, &FakeServer::remove_xattr);
    case MessageType::kLock:
      return run<wire::LockRequest>(frame, &FakeServer::lock);
    case MessageType::kTestLock:
      return run<wire::TestLockRequest>(frame, &FakeServer::test_lock);
    case MessageType::kCancelLock:
      return run<wire::CancelLockRequest>(frame, &FakeServer::cancel_lock);
    case MessageType::kReturnLeases:
      return run<wire::ReturnLeasesRequest>(frame, &FakeServer::return_leases);
    case MessageType::kBye:
    case MessageType::kPing:
      return encoded(wire::EmptyT());
    default:
      return failed(EOPNOTSUPP);
  }
}

FakeServer::Reply FakeServer::hello(const wire::HelloRequestT& request) {
  wire::HelloReplyT reply;
  reply.version = proto::kVersion;
  if (gives_leases) reply.features = request.features & proto::kFeatureLeases;
  reply.session.assign(16, static_cast<std::uint8_t>(run_));
  reply.resumed = request.session == reply.session;
  if (reply.resumed) {
    for (std::uint32_t slot = 0; slot < 32; ++slot) {
      reply.slot_sequences.push_back(slots_[slot].sequence);
    }
  }
  reply.slots = 32;
  reply.max_payload = 1 << 20;
  reply.root = handle_of(root());
  reply.root_attributes = attributes_of(root());
  reply.grace_us = 60'000'000;
  reply.write_verifier = write_verifier;
  reply.idle_opens = idle_opens;
  return encoded(reply);
}

FakeServer::Reply FakeServer::lookup(const wire::LookupRequestT& request) {
  ServerFile* parent = find(request.parent);
  if (parent == nullptr) return failed(ESTALE);
  if (squashes_root && request.caller->uid == 0) return failed(EACCES);
  auto found = parent->names.find(request.name);
  if (found != parent->names.end()) return entry(files_.at(found->second), *parent);
  if (!request.tell_absence) return failed(ENOENT);
  wire::EntryReplyT absent;
  absent.parent_attributes = attributes_of(*parent);
  return encoded(absent);
}

static void add_flag(wire::Attributes& a, std::uint32_t flag) {
  a = wire::Attributes(a.ino(), a.size(), a.blocks(), a.rdev(), a.atime_ns(), a.mtime_ns(),
                       a.ctime_ns(), a.btime_ns(), a.foreign_changes(), a.change_epoch(), a.mode(),
                       a.nlink(), a.uid(), a.gid(), a.blksize(), a.flags() | flag);
}

FakeServer::Reply FakeServer::create(const wire::CreateRequestT& request) {
  ServerFile* parent = find(request.parent);
  if (parent == nullptr) return failed(ESTALE);
  umask = request.umask;
  const int flags = static_cast<int>(request.open_flags);
  auto found = parent->names.find(request.name);
  wire::CreateReplyT reply;
  reply.created = found == parent->names.end();
  if (!reply.created && (flags & O_EXCL) != 0) return failed(EEXIST);
  ServerFile& file = reply.created ? make(S_IFREG | request.mode) : files_.at(found->second);
  if (reply.created) {
    file.uid = request.caller->uid;
    parent->names[request.name] = file.ino;
    touch(*parent);
    reply.parent_attributes = attributes_of(*parent);
  }
  if ((flags & O_TRUNC) != 0) file.data.clear();
  reply.handle = handle_of(file);
  reply.attributes = attributes_of(file);
  if (reply.created && gives_exclusive) add_flag(*reply.attributes, proto::kExclusive);
  reply.open_id = ++last_open_;
  opens_[reply.open_id] = {file.ino, flags};
  return encoded(reply);
}

FakeServer::Reply FakeServer::mkdir(const wire::MkdirRequestT& request) {
  ServerFile* parent = find(request.parent);
  if (parent == nullptr) return failed(ESTALE);
  if (parent->names.contains(request.name)) return failed(EEXIST);
  umask = request.umask;
  ServerFile& made = make(S_IFDIR | request.mode);
  parent->names[request.name] = made.ino;
  ++parent->nlink;
  touch(*parent);
  return entry(made, *parent);
}

FakeServer::Reply FakeServer::link(const wire::LinkRequestT& request) {
  ServerFile* parent = find(request.parent);
  ServerFile* file = find(request.handle);
  if (parent == nullptr || file == nullptr) return failed(ESTALE);
  if (!parent->names.emplace(request.name, file->ino).second) return failed(EEXIST);
  ++file->nlink;
  file->ctime_ns = ++time_ns_;
  touch(*parent);
  return entry(*file, *parent);
}

FakeServer::Reply FakeServer::unlink(const wire::UnlinkRequestT& request) {
  ServerFile* parent = find(request.parent);
  if (parent == nullptr) return failed(ESTALE);
  auto found = parent->names.find(request.name);
  if (found == parent->names.end()) return failed(ENOENT);
  ServerFile& file = files_.at(found->second);
  parent->names.erase(found);
  wire::UnlinkReplyT reply;
  reply.victim_handle = handle_of(file);
  --file.nlink;
  file.ctime_ns = ++time_ns_;
  reply.victim = attributes_of(file);
  touch(*parent);
  reply.parent_attributes = attributes_of(*parent);
  return encoded(reply);
}

FakeServer::Reply FakeServer::rename(const wire::RenameRequestT& request) {
  ServerFile* parent = find(request.parent);
  ServerFile* new_parent = find(request.new_parent);
  if (parent == nullptr || new_parent == nullptr) return failed(ESTALE);
  auto found = parent->names.find(request.name);
  if (found == parent->names.end()) return failed(ENOENT);
  auto there = new_parent->names.find(request.new_name);
  const bool replaces = there != new_parent->names.end();
  const bool exchanges = (request.flags & RENAME_EXCHANGE) != 0;
  wire::RenameReplyT reply;
  if (exchanges && !replaces) return failed(ENOENT);
  if (exchanges) {
    std::swap(found->second, there->second);
  } else if (!replaces || there->second != found->second) {
    if (replaces) {
      ServerFile& victim = files_.at(there->second);
      reply.victim_handle = handle_of(victim);
      --victim.nlink;
      victim.ctime_ns = ++time_ns_;
      reply.victim = attributes_of(victim);
    }
    const std::uint64_t ino = found->second;
    parent->names.erase(found);
    new_parent->names[request.new_name] = ino;
  }
  touch(*parent);
  touch(*new_parent);
  reply.parent_attributes = attributes_of(*parent);
  reply.new_parent_attributes = attributes_of(*new_parent);
  return encoded(reply);
}

FakeServer::Reply FakeServer::read_dir(const wire::ReadDirRequestT& request) {
  ServerFile* directory = find(request.handle);
  if (directory == nullptr) return failed(ESTALE);
  wire::ReadDirReplyT reply;
  if (is_leased(*directory)) reply.directory = attributes_of(*directory);
  reply.end = true;
  std::uint64_t cookie = 0;
  for (const auto& [name, ino] : directory->names) {
    if (++cookie <= request.cookie) continue;
    if (reply.entries.size() == most_entries) {
      reply.end = false;
      break;
    }
    const ServerFile& file = files_.at(ino);
    auto made = std::make_unique<wire::DirEntryT>();
    made->cookie = cookie;
    made->ino = ino;
    made->type = file.mode & S_IFMT;
    made->name = name;
    if (request.with_attributes) {
      made->handle = handle_of(file);
      made->attributes = attributes_of(file);
    }
    reply.entries.push_back(std::move(made));
  }
  return encoded(reply);
}

FakeServer::Reply FakeServer::get_attr(const wire::GetAttrRequestT& request) {
  ServerFile* file = request.open_id != 0 ? find_open(request.open_id) : find(request.handle);
  if (file == nullptr) return failed(request.open_id != 0 ? EBADF : ESTALE);
  wire::AttrReplyT reply;
  reply.attributes = attributes_of(*file);
  return encoded(reply);
}

template <class Request>
void FakeServer::set_attributes(ServerFile& file, const Request& request) {
  if ((request.valid & proto::kSetMode) != 0) file.mode = (file.mode & S_IFMT) | request.mode;
  if ((request.valid & proto::kSetAtime) != 0) file.atime_ns = request.atime_ns;
  if ((request.valid & proto::kSetMtime) != 0) file.mtime_ns = request.mtime_ns;
}

FakeServer::Reply FakeServer::set_attr(const wire::SetAttrRequestT& request) {
  ServerFile* file = find(request.handle);
  if (file == nullptr) return failed(ESTALE);
  if (request.open_id != 0 && find_open(request.open_id) == nullptr) return failed(EBADF);
  if ((request.valid & proto::kSetSize) != 0) file->data.resize(request.size);
  if ((request.valid & proto::kSetUid) != 0 && request.uid == static_cast<std::uint32_t>(-1)) {
    file->mode &= ~static_cast<std::uint32_t>(S_ISUID | S_ISGID);
  }
  touch(*file);
  set_attributes(*file, request);
  wire::AttrReplyT reply;
  reply.attributes = attributes_of(*file);
  return encoded(reply);
}

FakeServer::Reply FakeServer::open(const wire::OpenRequestT& request) {
  ServerFile* file = find(request.handle);
  if (file == nullptr) return failed(ESTALE);
  const bool reclaims = seen.back().reclaim;
  const int flags = static_cast<int>(request.open_flags);
  if (!reclaims && !may_open(*file, *request.caller, flags)) return failed(EACCES);
  wire::OpenReplyT reply;
  reply.open_id = ++last_open_;
  reply.attributes = attributes_of(*file);
  opens_[reply.open_id] = {file->ino, flags};
  Reply answer = encoded(reply);
  if (brings_first_bytes) answer.payload = file->data.substr(0, request.read_bytes);
  return answer;
}

FakeServer::Reply FakeServer::close(const wire::CloseRequestT& request) {
  return opens_.erase(request.open_id) == 0 ? failed(EBADF) : encoded(wire::EmptyT());
}

FakeServer::Reply FakeServer::read(const wire::ReadRequestT& request) {
  ServerFile* file = find_open(request.open_id);
  if (file == nullptr) return failed(EBADF);
  wire::ReadReplyT attributes;
  attributes.attributes = attributes_of(*file);
  Reply reply = encoded(attributes);
  if (request.offset < file->data.size()) {
    reply.payload = file->data.substr(request.offset, request.length);
  }
  return reply;
}

FakeServer::Reply FakeServer::commit(const wire::CommitRequestT& request) {
  ServerFile* file = find_open(request.open_id);
  if (file == nullptr) return failed(EBADF);
  wire::AttrReplyT reply;
  reply.attributes = attributes_of(*file);
  return encoded(reply);
}

FakeServer::Reply FakeServer::write(const Frame& frame) {
  auto request = proto::decode<wire::WriteRequest>(frame.meta);
  if (!request) return failed(EPROTO);
  seen.push_back({MessageType::kWrite, 0, false});
  write_flags.push_back(request.value().flags);
  if (auto fails_with = fails.find(MessageType::kWrite); fails_with != fails.end()) {
    return failed(fails_with->second);
  }
  ServerFile* file = find_open(request.value().open_id);
  if (file == nullptr) return failed(EBADF);
  const bool appends = (request.value().flags & proto::kWriteAppend) != 0;
  const std::uint64_t offset = appends ? file->data.size() : request.value().offset;
  auto& ranges = request.value().ranges;
  if ((request.value().flags & proto::kWriteRanges) == 0) {
    ranges = {wire::WriteRange(offset, frame.payload.size())};
  }
  std::uint64_t taken = 0;
  for (const wire::WriteRange& range : ranges) {
    if (range.length() > frame.payload.size() - taken) return failed(EINVAL);
    file->data.resize(std::max<std::uint64_t>(file->data.size(), range.offset() + range.length()));
    std::memcpy(file->data.data() + range.offset(), frame.payload.data() + taken, range.length());
    taken += range.length();
  }
  touch(*file);
  auto& changes = request.value();
  if ((changes.flags & proto::kWriteSetMtime) != 0) changes.valid |= proto::kSetMtime;
  set_attributes(*file, changes);
  wire::WriteReplyT reply;
  reply.attributes = attributes_of(*file);
  reply.offset = appends ? offset : 0;
  return encoded(reply);
}

FakeServer::Reply FakeServer::allocate(const wire::AllocateRequestT& request) {
  ServerFile* file = find_open(request.open_id);
  if (file == nullptr) return failed(EBADF);
  const std::uint64_t end = request.offset + request.length;
  if ((request.mode & FALLOC_FL_KEEP_SIZE) == 0 && file->data.size() < end) file->data.resize(end);
  if ((request.mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    for (std::uint64_t at = request.offset; at < std::min(end, file->data.size()); ++at) {
      file->data[at] = 0;
    }
  }
  touch(*file);
  wire::AttrReplyT reply;
  reply.attributes = attributes_of(*file);
  return encoded(reply);
}

// Every NUL is a hole.
FakeServer::Reply FakeServer::seek(const wire::SeekRequestT& request) {
  ServerFile* file = find_open(request.open_id);
  if (file == nullptr) return failed(EBADF);
  if (request.offset >= file->data.size()) return failed(ENXIO);
  auto at = request.offset;
  while (at < file->data.size() && (file->data[at] != 0) != request.data) ++at;
  if (request.data && at == file->data.size()) return failed(ENXIO);
  wire::SeekReplyT reply;
  reply.offset = at;
  reply.attributes = attributes_of(*file);
  return encoded(reply);
}

FakeServer::Reply FakeServer::copy_range(const wire::CopyRangeRequestT& request) {
  ServerFile* from = find_open(request.from_open);
  ServerFile* to = find_open(request.to_open);
  if (from == nullptr || to == nullptr) return failed(EBADF);
  std::string piece;
  if (request.from_offset < from->data.size()) {
    piece = from->data.substr(request.from_offset, std::min(request.length, most_copied));
  }
  if (!piece.empty()) {
    to->data.resize(std::max(to->data.size(), request.to_offset + piece.size()));
    to->data.replace(request.to_offset, piece.size(), piece);
    touch(*to);
  }
  wire::CopyRangeReplyT reply;
  reply.copied = piece.size();
  reply.from = attributes_of(*from);
  reply.to = attributes_of(*to);
  return encoded(reply);
}

FakeServer::Reply FakeServer::lock(const wire::LockRequestT& request) {
  const ServerFile* file = find_open(request.open_id);
  if (file == nullptr) return failed(EBADF);
  const int outcome = locks.request(file->ino, request);
  if (outcome > 0) return failed(outcome);
  wire::LockReplyT reply;
  reply.granted = outcome == 0;
  return encoded(reply);
}

FakeServer::Reply FakeServer::test_lock(const wire::TestLockRequestT& request) {
  if (find_open(request.open_id) == nullptr) return failed(EBADF);
  wire::TestLockReplyT reply;
  reply.type = F_UNLCK;
  if (const auto range = locks.test(request)) {
    reply.type = range->type == LockType::kWrite ? F_WRLCK : F_RDLCK;
    reply.start = range->start;
    reply.end = range->end;
  }
  return encoded(reply);
}

FakeServer::Reply FakeServer::cancel_lock(const wire::CancelLockRequestT& request) {
  locks.cancel(request.waiter);
  return encoded(wire::EmptyT());
}

}  // namespace foliofs::test
