// Leases of the FakeServer, which has one client; the test makes the changes of other clients.
#include "tests/unit/vfs/fake_server.h"

namespace foliofs::test {

bool FakeServer::is_leased(const ServerFile& file) const {
  const bool recalled = std::any_of(recalls_.begin(), recalls_.end(), [&](const auto& recall) {
    return recall.second.contains(file.ino);
  });
  return gives_leases && !recalled;
}

void FakeServer::recall(std::uint64_t number, std::initializer_list<Lost> lost) {
  wire::LeasesRecalledT recalled;
  recalled.recall = number;
  for (const Lost& one : lost) {
    auto lease = std::make_unique<wire::RecalledLeaseT>();
    lease->handle = handle_of(one.file);
    lease->names = one.names;
    lease->foreign_changes = one.file.foreign_changes;
    lease->change_epoch = run_;
    recalled.leases.push_back(std::move(lease));
    recalls_[number].insert(one.file.ino);
  }
  notify(MessageType::kLeasesRecalled, proto::encode(recalled));
}

void FakeServer::recall_everything() {
  wire::LeasesRecalledT recalled;
  recalled.everything = true;
  notify(MessageType::kLeasesRecalled, proto::encode(recalled));
}

void FakeServer::want_opens() {
  notify(MessageType::kOpensWanted, proto::encode(wire::OpensWantedT()));
}

FakeServer::Reply FakeServer::return_leases(const wire::ReturnLeasesRequestT& request) {
  for (const std::uint64_t recall : request.recalls) recalls_.erase(recall);
  if (request.everything) recalls_.clear();
  returned.push_back(request);
  return encoded(wire::EmptyT());
}

}  // namespace foliofs::test
