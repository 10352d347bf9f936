// Handlers of extended attributes.
#include <sys/xattr.h>

#include "server/handlers.h"

namespace foliofs::server {

namespace {

// A reply whose payload is what `fill(buffer)` put there, with attributes from before the fill.
template <class Fill>
Result<Reply> reply_with_bytes(Call& call, const CallContext& context, HandleView file, Fill fill) {
  BOOST_OUTCOME_TRY(const wire::Attributes attributes, call.store().attributes(context, file));
  Buffer bytes = call.buffers->take(kMaxXattrBytes);
  BOOST_OUTCOME_TRY(const std::size_t filled, fill(bytes.bytes()));
  bytes.shrink(filled);
  return build_reply([&](auto& builder) { return wire::CreateXattrReply(builder, &attributes); },
                     call.buffers->fit(std::move(bytes)));
}

}  // namespace

Result<Reply> handle_get_xattr(Call& call, Place place) {
  const auto& request = request_of<wire::GetXattrRequest>(call);
  BOOST_OUTCOME_TRY(const XattrName name, XattrName::check(request.name()));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  const HandleView file = handle_view(request.handle());
  return reply_with_bytes(call, caller.context(), file, [&](std::span<std::byte> into) {
    return call.store().get_xattr(caller.context(), file, name, into);
  });
}

Result<Reply> handle_list_xattr(Call& call, Place place) {
  const auto& request = request_of<wire::ListXattrRequest>(call);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  const HandleView file = handle_view(request.handle());
  return reply_with_bytes(call, caller.context(), file, [&](std::span<std::byte> into) {
    return call.store().list_xattrs(caller.context(), file, into);
  });
}

Result<Reply> handle_set_xattr(Call& call, Place place) {
  const auto& request = request_of<wire::SetXattrRequest>(call);
  BOOST_OUTCOME_TRY(const XattrName name, XattrName::check(request.name()));
  if ((request.flags() & ~std::uint32_t{XATTR_CREATE | XATTR_REPLACE}) != 0) return Errno(EINVAL);
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  BOOST_OUTCOME_TRY(auto attributes, call.store().set_xattr(
                                         caller.context(), handle_view(request.handle()), name,
                                         call.payload.bytes(), static_cast<int>(request.flags())));
  return attributes_reply(attributes);
}

Result<Reply> handle_remove_xattr(Call& call, Place place) {
  const auto& request = request_of<wire::RemoveXattrRequest>(call);
  BOOST_OUTCOME_TRY(const XattrName name, XattrName::check(request.name()));
  BOOST_OUTCOME_TRY(const Caller caller, caller_of(call, request.caller(), place));
  BOOST_OUTCOME_TRY(auto attributes, call.store().remove_xattr(
                                         caller.context(), handle_view(request.handle()), name));
  return attributes_reply(attributes);
}

}  // namespace foliofs::server
