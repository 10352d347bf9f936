// SimServer: the real server's sessions and handlers over a MemoryStore, reached over Wires.
//
// It uses a wire and the scheduler where the real server's Connection uses a socket and an export's
// pool: a request executes when the scheduler chooses it, perhaps after a while, in any order with
// others; its reply may take as long.
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
  // All references must outlive the server.
  SimServer(Executor executor, Clock& clock, Random& random, std::unique_ptr<MemoryStore> store);

  MemoryStore& store() { return *store_; }

  // The longest time that a request usually waits before it is executed, and its reply before it is
  // sent.
  Duration slowness{0};

  // Makes connections for client `client`.
  std::unique_ptr<rpc::Connector> connector_for(int client);

  // The client whose call the store is executing; -1 between calls.
  int executing_for() const { return executing_for_; }
  // The number of that call.
  std::uint64_t executing_call() const { return calls_; }
  // Called when the server answers a call, before the reply is sent.
  std::function<void(std::uint64_t call)> on_answered;

  // Called when a call of `client` has ended leases of others.
  std::function<void(int client)> on_recall;
  // Called when a call of `client` waits for a lease that was not returned in time.
  std::function<void(int client)> on_overdue;

  // --- Faults ---
  // Breaks the client's connections; what is on its way on them is lost.
  void cut(int client);
  // Holds up everything in one direction of the client's connections, or lets it go on.
  void hold(int client, bool to_server, bool held);
  // Restarts the server's process: sessions and opens are gone, files stay.
  void restart();
  // As if a file had been changed on the server's disk, not through the server.
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
  // Answers a call once the leases that it has ended are returned, or their time is over.
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
  // The last one is in use; sessions of the others may still be referred to.
  std::list<server::SessionTable> sessions_;
  std::vector<std::pair<int, std::weak_ptr<Wire>>> wires_;
  int executing_for_ = -1;
  std::uint64_t calls_ = 0;
};

}  // namespace foliofs::sim
