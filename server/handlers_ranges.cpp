// Handlers that allocate, look for data and holes, and copy. All of them wait for the disk, so they
// run in the pool.
#include <linux/falloc.h>

#include "server/handlers.h"

namespace foliofs::server {

namespace {

// The most that one COPYRANGE copies, so that it does not occupy a thread of the pool for long. The
// client continues from there.
constexpr std::uint64_t kMaxCopyBytes = 64u << 20;

constexpr std::uint32_t kAllocateModes = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
                                         FALLOC_FL_ZERO_RANGE | FALLOC_FL_COLLAPSE_RANGE |
                                         FALLOC_FL_INSERT_RANGE;

}  // namespace

Result<Reply> handle_allocate(Call& call, Place place) {
  if (place == Place::kLoop) return Errno(EAGAIN);
  const auto& request = request_of<wire::AllocateRequest>(call);
  if ((request.mode() & ~kAllocateModes) != 0) return Errno(EOPNOTSUPP);
  BOOST_OUTCOME_TRY(auto open, call.session->find_open(request.open_id()));
  const CallContext context = context_for(call, open.opener, place);
  BOOST_OUTCOME_TRY(auto attributes, call.store().allocate(context, *open.file, request.mode(),
                                                           request.offset(), request.length()));
  return attributes_reply(attributes);
}

Result<Reply> handle_seek(Call& call, Place place) {
  if (place == Place::kLoop) return Errno(EAGAIN);
  const auto& request = request_of<wire::SeekRequest>(call);
  BOOST_OUTCOME_TRY(auto open, call.session->find_open(request.open_id()));
  const CallContext context = context_for(call, open.opener, place);
  BOOST_OUTCOME_TRY(auto attributes, call.store().attributes(context, *open.file));
  BOOST_OUTCOME_TRY(const std::uint64_t found,
                    call.store().seek(context, *open.file, request.offset(), request.data()));
  return build_reply(
      [&](auto& builder) { return wire::CreateSeekReply(builder, found, &attributes); });
}

Result<Reply> handle_copy_range(Call& call, Place place) {
  if (place == Place::kLoop) return Errno(EAGAIN);
  const auto& request = request_of<wire::CopyRangeRequest>(call);
  BOOST_OUTCOME_TRY(auto from, call.session->find_open(request.from_open()));
  BOOST_OUTCOME_TRY(auto to, call.session->find_open(request.to_open()));
  const CallContext context = context_for(call, to.opener, place);
  const std::uint64_t length = std::min(request.length(), kMaxCopyBytes);
  BOOST_OUTCOME_TRY(auto copied, call.store().copy(context, *from.file, request.from_offset(),
                                                   *to.file, request.to_offset(), length));
  call.session->counters().bytes_written += copied.bytes;
  return build_reply([&](auto& builder) {
    return wire::CreateCopyRangeReply(builder, copied.bytes, &copied.from, &copied.to);
  });
}

}  // namespace foliofs::server
