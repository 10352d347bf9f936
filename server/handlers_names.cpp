// Handlers of names.
#include <cstdio>
#include <type_traits>

#include "server/handlers.h"

namespace foliofs::server {

namespace {

Reply entry_reply(const Entry& entry) {
  return build_reply([&](auto& builder) {
    auto handle = put_handle(builder, entry.handle);
    return wire::CreateEntryReply(builder, handle, &entry.attributes, &entry.parent);
  });
}

Result<Reply> entry_reply(const Result<Entry>& entry) {
  if (!entry) return entry.error();
  return entry_reply(entry.value());
}

}  // namespace

Result<Reply> handle_lookup(Call& call, Place place) {
  const auto& request = request_of<wire::LookupRequest>(call);
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  auto entry = call.store().lookup(caller.context(), handle_view(request.parent()), name);
  if (!entry || !entry.value().handle.empty()) return entry_reply(entry);
  if (!request.tell_absence()) return Errno(ENOENT);
  return build_reply([&](auto& builder) {
    return wire::CreateEntryReply(builder, 0, nullptr, &entry.value().parent);
  });
}

namespace {

// In a read-only session a CREATE can still open an existing name.
Result<Opened> open_existing(Call& call, const Caller& caller, HandleView parent, Name name,
                             int flags) {
  auto entry = call.store().lookup(caller.context(), parent, name);
  if (!entry) return entry.error();
  if (entry.value().handle.empty()) return Errno(EROFS);
  if ((flags & O_EXCL) != 0) return Errno(EEXIST);
  if (S_ISDIR(entry.value().attributes.mode())) return Errno(EISDIR);
  return call.store().open(caller.context(), entry.value().handle, flags, /*reclaim=*/false);
}

}  // namespace

Result<Reply> handle_create(Call& call, Place place) {
  const auto& request = request_of<wire::CreateRequest>(call);
  const int flags = static_cast<int>(request.open_flags());
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  BOOST_OUTCOME_TRYV(check_open_flags(call, flags));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  const HandleView parent = handle_view(request.parent());
  BOOST_OUTCOME_TRY(auto reservation, call.session->reserve_open());
  auto made = call.session->read_only()
                  ? open_existing(call, caller, parent, name, flags)
                  : call.store().create(caller.context(), parent, name,
                                        {request.mode(), request.umask() & 0777}, flags);
  if (!made) return made.error();
  Opened& opened = made.value();
  const std::uint64_t open_id =
      call.session->add_open(std::move(reservation), std::move(opened.file), caller.identity());
  return build_reply([&](auto& builder) {
    auto handle = put_handle(builder, opened.handle);
    return wire::CreateCreateReply(builder, handle, &opened.attributes, open_id, opened.created,
                                   opened.parent ? &*opened.parent : nullptr);
  });
}

Result<Reply> handle_mknod(Call& call, Place place) {
  const auto& request = request_of<wire::MknodRequest>(call);
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  const mode_t type = request.mode() & S_IFMT;
  if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR &&
      type != S_IFBLK) {
    return Errno(EINVAL);
  }
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  const mode_t mode = type | (request.mode() & 07777);
  return entry_reply(call.store().mknod(caller.context(), handle_view(request.parent()), name,
                                        {mode, request.umask() & 0777}, request.rdev()));
}

Result<Reply> handle_mkdir(Call& call, Place place) {
  const auto& request = request_of<wire::MkdirRequest>(call);
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  return entry_reply(call.store().mkdir(caller.context(), handle_view(request.parent()), name,
                                        {request.mode(), request.umask() & 0777}));
}

Result<Reply> handle_symlink(Call& call, Place place) {
  const auto& request = request_of<wire::SymlinkRequest>(call);
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  const auto* bytes = request.target();
  if (bytes == nullptr || bytes->size() == 0) return Errno(ENOENT);  // as symlink(2) has it
  if (bytes->size() > kMaxSymlinkBytes) return Errno(ENAMETOOLONG);
  const std::string target(bytes->begin(), bytes->end());
  if (target.find('\0') != target.npos) return Errno(EINVAL);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  return entry_reply(
      call.store().symlink(caller.context(), handle_view(request.parent()), name, target));
}

Result<Reply> handle_link(Call& call, Place place) {
  const auto& request = request_of<wire::LinkRequest>(call);
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  return entry_reply(call.store().link(caller.context(), handle_view(request.handle()),
                                       handle_view(request.parent()), name));
}

namespace {

template <class Table>
Reply changed_reply(const NamesChanged& changed) {
  const auto& victim = changed.victim;
  return build_reply([&](auto& builder) {
    flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> handle;
    if (victim && !victim->handle.empty()) handle = put_handle(builder, victim->handle);
    typename Table::Builder reply(builder);
    if (!handle.IsNull()) reply.add_victim_handle(handle);
    if (victim) reply.add_victim(&victim->attributes);
    if (changed.parent) reply.add_parent_attributes(&*changed.parent);
    if constexpr (std::is_same_v<Table, wire::RenameReply>) {
      if (changed.new_parent) reply.add_new_parent_attributes(&*changed.new_parent);
    }
    return reply.Finish();
  });
}

}  // namespace

Result<Reply> handle_unlink(Call& call, Place place) {
  const auto& request = request_of<wire::UnlinkRequest>(call);
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  BOOST_OUTCOME_TRY(const auto changed,
                    call.store().unlink(caller.context(), handle_view(request.parent()), name,
                                        request.directory()));
  return changed_reply<wire::UnlinkReply>(changed);
}

Result<Reply> handle_rename(Call& call, Place place) {
  const auto& request = request_of<wire::RenameRequest>(call);
  constexpr unsigned kFlags = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
  BOOST_OUTCOME_TRY(const Name name, Name::check(request.name()));
  BOOST_OUTCOME_TRY(const Name new_name, Name::check(request.new_name()));
  if ((request.flags() & ~kFlags) != 0) return Errno(EINVAL);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  BOOST_OUTCOME_TRY(
      const auto changed,
      call.store().rename(caller.context(), handle_view(request.parent()), name,
                          handle_view(request.new_parent()), new_name, request.flags()));
  return changed_reply<wire::RenameReply>(changed);
}

Result<Reply> handle_readlink(Call& call, Place place) {
  const auto& request = request_of<wire::ReadlinkRequest>(call);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  BOOST_OUTCOME_TRY(auto target,
                    call.store().readlink(caller.context(), handle_view(request.handle())));
  return build_reply([&](auto& builder) {
    auto bytes =
        builder.CreateVector(reinterpret_cast<const std::uint8_t*>(target.data()), target.size());
    return wire::CreateReadlinkReply(builder, bytes);
  });
}

// --- READDIR ------------------------------------------------------------------------------------

namespace {

// Collects entries in the reply's metadata, up to a size.
class EntryCollector final : public DirectorySink {
 public:
  explicit EntryCollector(std::size_t max_bytes) : builder_(16384), max_bytes_(max_bytes) {}

  bool full() const override {
    const std::size_t index_bytes = 4 * entries_.size();
    return entries_.size() == kMaxEntries ||
           builder_.GetSize() + index_bytes + kMaxEntryBytes > max_bytes_;
  }

  void add(const DirectoryEntry& entry) override {
    auto name = builder_.CreateString(entry.name.data(), entry.name.size());
    flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> handle;
    if (!entry.handle.empty()) handle = put_handle(builder_, entry.handle);
    entries_.push_back(wire::CreateDirEntry(builder_, entry.cookie, entry.ino, entry.type, name,
                                            handle,
                                            entry.handle.empty() ? nullptr : &entry.attributes));
  }

  Reply finish(const DirectoryRead& read) {
    auto entries = builder_.CreateVector(entries_);
    builder_.Finish(wire::CreateReadDirReply(builder_, entries, read.end, &read.directory));
    return make_reply(builder_.Release());
  }

  // The maximum size of one entry plus the table around all entries.
  static constexpr std::size_t kMaxEntryBytes = kMaxNameBytes + kMaxHandleBytes + 768;

 private:
  // proto::view accepts at most 65536 tables.
  static constexpr std::size_t kMaxEntries = 32768;

  flatbuffers::FlatBufferBuilder builder_;
  const std::size_t max_bytes_;
  std::vector<flatbuffers::Offset<wire::DirEntry>> entries_;
};

}  // namespace

Result<Reply> handle_read_dir(Call& call, Place place) {
  const auto& request = request_of<wire::ReadDirRequest>(call);
  const std::size_t max_bytes = std::min<std::size_t>(request.max_bytes(), kMaxMetaBytes);
  if (max_bytes <= EntryCollector::kMaxEntryBytes) return Errno(EINVAL);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  EntryCollector collector(max_bytes);
  BOOST_OUTCOME_TRY(const auto read, call.store().read_directory(
                                         caller.context(), handle_view(request.handle()),
                                         request.cookie(), request.with_attributes(), collector));
  return collector.finish(read);
}

}  // namespace foliofs::server
