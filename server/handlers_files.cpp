// Handlers of attributes and open files.
#include "server/handlers.h"

namespace foliofs::server {

namespace {

// A larger WRITE goes to the pool, so that copying it does not keep the loop from other
// connections.
constexpr std::size_t kInlineWriteBytes = 64 << 10;
constexpr std::size_t kInlineWritePieces = 8;

// Fills call.partial.data from `offset`, as far as is possible at `place`; EAGAIN on the loop when
// the rest has to wait.
Status read_on(Call& call, const CallContext& context, OpenFile& file, std::uint64_t offset,
               Place place) {
  PartialRead& partial = call.partial;
  auto rest = partial.data.bytes().subspan(partial.filled);
  auto got = call.store().read(context, file, offset + partial.filled, rest);
  if (!got) return got.error();
  partial.filled += got.value();
  // Without waiting, a short count is the end of the file only if the file ends there.
  const bool at_end = offset + partial.filled >= partial.attributes.size();
  if (place == Place::kLoop && got.value() < rest.size() && !at_end) return Errno(EAGAIN);
  partial.data.shrink(partial.filled);
  partial.data = call.buffers->fit(std::move(partial.data));
  call.session->counters().bytes_read += partial.filled;
  return success();
}

}  // namespace

// --- Attributes ---------------------------------------------------------------------------------

Result<Reply> handle_get_attr(Call& call, Place place) {
  const auto& request = request_of<wire::GetAttrRequest>(call);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  if (request.open_id() != 0) {
    BOOST_OUTCOME_TRY(auto open, call.session->find_open(request.open_id()));
    BOOST_OUTCOME_TRY(auto attributes, call.store().attributes(caller.context(), *open.file));
    return attributes_reply(attributes);
  }
  BOOST_OUTCOME_TRY(auto attributes,
                    call.store().attributes(caller.context(), handle_view(request.handle())));
  return attributes_reply(attributes);
}

Result<Reply> handle_set_attr(Call& call, Place place) {
  const auto& request = request_of<wire::SetAttrRequest>(call);
  constexpr std::uint32_t kKnown = (proto::kSetKillPrivileges << 1) - 1;
  if (request.valid() == 0 || (request.valid() & ~kKnown) != 0) return Errno(EINVAL);
  const bool kills = (request.valid() & proto::kSetKillPrivileges) != 0;
  if (kills && (request.valid() & proto::kSetSize) == 0) return Errno(EINVAL);
  // Changing the size frees blocks, or reads the rest of one to clear it.
  if (place == Place::kLoop && (request.valid() & proto::kSetSize) != 0) return Errno(EAGAIN);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  OpenRecord open;
  if (request.open_id() != 0) {
    BOOST_OUTCOME_TRY(open, call.session->find_open(request.open_id()));
  }
  const AttributeChanges changes{request.valid(),   request.mode(), request.uid(),
                                 request.gid(),     request.size(), request.atime_ns(),
                                 request.mtime_ns()};
  BOOST_OUTCOME_TRY(auto attributes,
                    call.store().set_attributes(caller.context(), handle_view(request.handle()),
                                                open.file.get(), changes));
  return attributes_reply(attributes);
}

Result<Reply> handle_stat_fs(Call& call, Place place) {
  const auto& request = request_of<wire::StatFsRequest>(call);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  BOOST_OUTCOME_TRY(const Space space,
                    call.store().space(caller.context(), handle_view(request.handle())));
  return build_reply([&](auto& builder) {
    return wire::CreateStatFsReply(builder, space.block_size, space.fragment_size, space.blocks,
                                   space.blocks_free, space.blocks_available, space.files,
                                   space.files_free, space.name_max);
  });
}

// --- Open files ---------------------------------------------------------------------------------

namespace {

// Reads the first bytes of the file into call.partial, as many as an OPEN's reply may carry. If
// they cannot be read, the open itself still succeeds: the client asks for them again and then
// learns why. EAGAIN as read_on returns it.
Status read_first_bytes(Call& call, const CallContext& context, OpenFile& file,
                        std::uint32_t wanted, Place place) {
  PartialRead& partial = call.partial;
  if (wanted == 0 || !S_ISREG(partial.attributes.mode())) return success();
  if (partial.data.size() == 0)
    partial.data = call.buffers->take(std::min(wanted, kMaxOpenReadBytes));
  auto got = read_on(call, context, file, 0, place);
  if (got || (place == Place::kLoop && got.error() == Errno(EAGAIN))) return got;
  partial.data = Buffer();
  return success();
}

std::uint32_t first_bytes_wanted(const wire::OpenRequest& request) {
  return (request.open_flags() & O_ACCMODE) == O_WRONLY ? 0 : request.read_bytes();
}

}  // namespace

Result<Reply> handle_open(Call& call, Place place) {
  const auto& request = request_of<wire::OpenRequest>(call);
  const int flags = static_cast<int>(request.open_flags());
  BOOST_OUTCOME_TRYV(check_open_flags(call, flags));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  PartialRead& partial = call.partial;
  if (!partial.begun) {
    if (!partial.reservation) {
      BOOST_OUTCOME_TRY(partial.reservation, call.session->reserve_open());
    }
    BOOST_OUTCOME_TRY(auto opened,
                      call.store().open(caller.context(), handle_view(request.handle()), flags,
                                        request.reclaim()));
    partial.attributes = opened.attributes;
    partial.opened = std::move(opened.file);
    partial.begun = true;
  }
  BOOST_OUTCOME_TRYV(read_first_bytes(call, caller.context(), *partial.opened,
                                      first_bytes_wanted(request), place));
  const std::uint64_t open_id = call.session->add_open(
      std::move(partial.reservation), std::move(partial.opened), caller.identity());
  return build_reply(
      [&](auto& builder) { return wire::CreateOpenReply(builder, open_id, &partial.attributes); },
      std::move(partial.data));
}

Buffer replay_open_payload(Call& call, const proto::MetaBuffer& meta) {
  const auto& reply = *flatbuffers::GetRoot<wire::OpenReply>(meta.data());
  auto open = call.session->find_open(reply.open_id());
  if (!open || reply.attributes() == nullptr) return {};
  call.partial.attributes = *reply.attributes();
  const CallContext context = context_for(call, open.value().opener, Place::kPool);
  const std::uint32_t wanted = first_bytes_wanted(request_of<wire::OpenRequest>(call));
  (void)read_first_bytes(call, context, *open.value().file, wanted, Place::kPool);
  return std::move(call.partial.data);
}

Result<Reply> handle_close(Call& call, Place place) {
  const std::uint64_t open_id = request_of<wire::CloseRequest>(call).open_id();
  if (place == Place::kLoop) {
    BOOST_OUTCOME_TRY(auto open, call.session->find_open(open_id));
    if (open.file->slow_to_close()) return Errno(EAGAIN);
  }
  BOOST_OUTCOME_TRY(auto open, call.session->take_open(open_id));
  call.store().end_exclusive(context_for(call, open.opener, place), *open.file);
  drop_locks_if_closed(call, *open.file);
  return empty_reply();
}

Result<Reply> handle_read(Call& call, Place place) {
  const auto& request = request_of<wire::ReadRequest>(call);
  if (request.length() > kMaxPayloadBytes) return Errno(EINVAL);
  BOOST_OUTCOME_TRY(auto open, call.session->find_open(request.open_id()));
  const CallContext context = context_for(call, open.opener, place);
  PartialRead& partial = call.partial;
  if (!partial.begun) {
    // Taken before the data: then the bytes may be newer than the attributes, which only costs the
    // client a second look. In the other order the client would take old bytes for new ones.
    BOOST_OUTCOME_TRY(partial.attributes, call.store().attributes(context, *open.file));
    partial.data = call.buffers->take(request.length());
    partial.begun = true;
  }
  BOOST_OUTCOME_TRYV(read_on(call, context, *open.file, request.offset(), place));
  return build_reply(
      [&](auto& builder) { return wire::CreateReadReply(builder, &partial.attributes); },
      std::move(partial.data));
}

namespace {

using WritePieces = boost::container::small_vector<WritePiece, 1>;

// Splits the payload by the ranges. EINVAL: there are no ranges, too many, or they do not match the
// payload.
Status split(const wire::WriteRequest& request, std::span<const std::byte> payload,
             WritePieces& pieces) {
  if ((request.flags() & proto::kWriteRanges) == 0) {
    pieces.push_back({request.offset(), payload});
    return success();
  }
  const auto* ranges = request.ranges();
  if (ranges == nullptr || ranges->size() == 0 || ranges->size() > kMaxWriteRanges) {
    return Errno(EINVAL);
  }
  for (const wire::WriteRange* range : *ranges) {
    if (range->length() == 0 || range->length() > payload.size()) return Errno(EINVAL);
    pieces.push_back({range->offset(), payload.first(range->length())});
    payload = payload.subspan(range->length());
  }
  return payload.empty() ? success() : Status(Errno(EINVAL));
}

// Whether the write is short enough for the loop.
bool is_short(const WritePieces& pieces, std::size_t bytes) {
  return bytes < kInlineWriteBytes && pieces.size() <= kInlineWritePieces;
}

// A WRITE at the end that the file has when it executes.
Result<Reply> append(Call& call, const CallContext& context, OpenFile& file) {
  if (call.payload.size() == 0) return Errno(EINVAL);
  BOOST_OUTCOME_TRY(auto appended, call.store().append(context, file, call.payload.bytes()));
  call.session->counters().bytes_written += call.payload.size();
  return build_reply([&](auto& builder) {
    return wire::CreateWriteReply(builder, &appended.attributes, appended.offset);
  });
}

AttributeChanges changes_with(const wire::WriteRequest& request) {
  const bool sets_mtime = (request.flags() & proto::kWriteSetMtime) != 0;
  return {request.valid() | (sets_mtime ? std::uint32_t{proto::kSetMtime} : 0),
          request.mode(),
          request.uid(),
          request.gid(),
          /*size=*/0,
          request.atime_ns(),
          request.mtime_ns()};
}

}  // namespace

Result<Reply> handle_write(Call& call, Place place) {
  const auto& request = request_of<wire::WriteRequest>(call);
  constexpr std::uint32_t kKnown = proto::kWriteInvalidation | proto::kWriteSetMtime |
                                   proto::kWriteAppend | proto::kWriteKillPrivileges |
                                   proto::kWriteRanges;
  if ((request.flags() & ~kKnown) != 0) return Errno(EINVAL);
  // Appended data has one place, and its time is that of the append.
  constexpr std::uint32_t kNotAppended = proto::kWriteSetMtime | proto::kWriteRanges;
  const bool appends = (request.flags() & proto::kWriteAppend) != 0;
  if (appends && (request.flags() & kNotAppended) != 0) return Errno(EINVAL);
  constexpr std::uint32_t kSettable =
      proto::kSetMode | proto::kSetUid | proto::kSetGid | proto::kSetAtime;
  const std::uint32_t settable = appends ? 0 : kSettable;
  if ((request.valid() & ~settable) != 0) return Errno(EINVAL);
  WritePieces pieces;
  BOOST_OUTCOME_TRYV(split(request, call.payload.bytes(), pieces));
  if (place == Place::kLoop && !is_short(pieces, call.payload.size())) return Errno(EAGAIN);
  BOOST_OUTCOME_TRY(auto open, call.session->find_open(request.open_id()));
  const CallContext context = context_for(call, open.opener, place);
  SessionCounters& counters = call.session->counters();
  if ((request.flags() & proto::kWriteInvalidation) != 0) ++counters.invalidation_writes;
  if ((request.flags() & proto::kWriteKillPrivileges) != 0) {
    BOOST_OUTCOME_TRYV(call.store().drop_set_id_bits(context, *open.file));
  }
  if (appends) return append(call, context, *open.file);
  BOOST_OUTCOME_TRY(auto attributes,
                    call.store().write(context, *open.file, pieces, changes_with(request)));
  counters.bytes_written += call.payload.size();
  return build_reply([&](auto& builder) { return wire::CreateWriteReply(builder, &attributes); });
}

Result<Reply> handle_commit(Call& call, Place place) {
  if (place == Place::kLoop) return Errno(EAGAIN);
  const auto& request = request_of<wire::CommitRequest>(call);
  BOOST_OUTCOME_TRY(auto open, call.session->find_open(request.open_id()));
  const CallContext context = context_for(call, open.opener, place);
  BOOST_OUTCOME_TRY(auto attributes, call.store().commit(context, *open.file, request.data_only()));
  return attributes_reply(attributes);
}

}  // namespace foliofs::server
