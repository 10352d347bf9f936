// SimServer: the real server's sessions and handlers over a MemoryStore, reached over Wires.
//
// What Connection does with a socket and an export's pool is done here with a wire and the
// scheduler: a request executes when the scheduler says so, perhaps after a while, in any order
// with others; its reply may take as long.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "server/call.h"
#include "server/session_table.h"
#include "tests/sim/memory_store.h"
#include "tests/sim/scheduler.h"
#include "tests/sim/wire.h"

namespace foliofs::sim {

class SimServer {
 public:
  // All references must outlive the server. `store` belongs to it from now on.
  SimServer(Executor executor, Clock& clock, Random& random, std::unique_ptr<MemoryStore> store);

  MemoryStore& store() { return *store_; }

  // How long a request waits as a rule, at most, to be executed, and its reply to be sent.
  Duration slowness{0};

  // A connection of client `client`.
  std::unique_ptr<rpc::Connector> connector_for(int client);

  // Of whom the call that the store executes right now is; -1 between calls.
  int executing_for() const { return executing_for_; }
  // And its number.
  std::uint64_t executing_call() const { return calls_; }
  // Hears that a call is answered, as far as the server has to do with it.
  std::function<void(std::uint64_t call)> on_answered;

  // Hears that a call of `client` has ended leases of others.
  std::function<void(int client)> on_recall;
  // Hears that a call of `client` waits for a lease that was not returned in time.
  std::function<void(int client)> on_overdue;

  // --- What goes wrong ---
  // What is on its way on the client's connections is lost.
  void cut(int client);
  // Nothing more gets through in one direction, until it is let go of.
  void hold(int client, bool to_server, bool held);
  // The process ends and comes back: sessions and opens are gone, files stay.
  void restart();
  // As when somebody has changed a file on the disk itself.
  void revoke_leases() { sessions_.back().revoke_leases(export_); }

 private:
  class Connection;
  class SimConnector;

  std::shared_ptr<Wire> connect(int client);
  server::Reply hello(const wire::HelloRequestT& request, const server::SinkRef& sink,
                      std::shared_ptr<server::Session>& session);
  void execute(const server::Handler& handler, std::shared_ptr<server::Call> call, int client);
  Task<void> run_call(const server::Handler* handler, std::shared_ptr<server::Call> call,
                      int client, std::uint64_t run);
  // Answers a call once those have returned their leases that it has ended, or have had the time.
  void answer(const server::Handler& handler, std::shared_ptr<server::Call> call,
              server::Reply reply, int client, std::uint64_t number);
  // As Connection::run_again().
  void run_again(const server::Handler* handler, std::shared_ptr<server::Call> call, int client);
  Task<void> revoke_overdue(int client, std::shared_ptr<bool> answered, std::uint64_t run);
  Duration some_time();

  const Executor executor_;
  Clock& clock_;
  Random& random_;
  server::Export export_;
  MemoryStore* store_;
  server::BufferPool buffers_;
  std::uint64_t run_ = 1;  // of the process
  // The last is the one in use; the others' sessions may still be referred to.
  std::list<server::SessionTable> sessions_;
  std::vector<std::pair<int, std::weak_ptr<Wire>>> wires_;
  int executing_for_ = -1;
  std::uint64_t calls_ = 0;
};

}  // namespace foliofs::sim
