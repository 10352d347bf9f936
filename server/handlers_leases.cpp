// Handlers of leases. They never wait.
#include "server/handlers.h"

namespace foliofs::server {

Result<Reply> handle_return_leases(Call& call, Place) {
  const auto& request = request_of<wire::ReturnLeasesRequest>(call);
  LeaseHolder& leases = call.session->leases();
  if (request.recalls() != nullptr) {
    for (const std::uint64_t recall : *request.recalls()) leases.returned(recall);
  }
  if (request.dropped() != nullptr) {
    if (request.dropped()->size() > kMaxDroppedLeases) return Errno(EINVAL);
    for (const auto* file : *request.dropped()) {
      if (file->handle() != nullptr) {
        leases.given_up({file->handle()->data(), file->handle()->size()});
      }
    }
  }
  if (request.everything()) {
    leases.returned_all();
    leases.set_ready(call.session->wants_leases());
  }
  return empty_reply();
}

}  // namespace foliofs::server
