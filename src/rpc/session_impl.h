// Session::Impl: the parts of a session, and the coroutines that maintain it.
//
// keep_connected() owns the link: it serves the link until that breaks, connects again, and resumes
// the session or begins a new one. Its own waits are all on `changed_`. An alarm or a dial may take
// long; it shares only a small state with the session, so that close() never waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "alarm.h"
#include "call_table.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/rpc/session.h"
#include "link.h"

namespace foliofs::rpc {

class Session::Impl {
 public:
  Impl(Executor executor, Clock& clock, Connector& connector, SessionOptions options);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Task<Status> start();
  // Does not touch the session once the call is done, because that may be after close().
  Task<Result<RawReply>> exchange(proto::MessageType type, proto::MetaBuffer meta, Payload payload,
                                  std::uint64_t incarnation, Urgency urgency);
  // Takes effect at the next tick; the ticks go on while calls are pending.
  void set_timeout(Duration timeout_us, bool hard) {
    options_.timeout_us = timeout_us;
    options_.hard = hard;
  }
  void set_events(SessionEvents events) { events_ = std::move(events); }
  Task<void> close();

  const std::string& error_text() const { return error_text_; }
  const wire::HelloReplyT& hello() const { return hello_; }
  std::uint64_t incarnation() const { return incarnation_; }
  ConnectionState state() const { return state_; }
  Duration silent_for() const;
  const RpcStats& stats() const { return stats_; }

 private:
  // A connect under way. It may take longer than the session wants its result.
  struct Dial {
    Impl* session;  // nullptr when the session does not want the result any more
    std::optional<Result<std::unique_ptr<Transport>>> result;
  };
  static Task<void> dial(Connector& connector, std::shared_ptr<Dial> dial);

  // Starts a coroutine of the session itself; close() returns when all of these have ended.
  void launch(std::string_view name, Task<void> task);
  Task<void> counted(Task<void> task);
  void task_ended();

  // session_connect.cpp
  Task<void> keep_connected();
  Task<void> serve();
  Task<void> loop_of_link(Task<void> loop);
  Task<void> reconnect();
  Task<Status> connect_once();
  Task<Result<std::unique_ptr<Transport>>> dial_and_wait();
  Status adopt(wire::HelloReplyT reply, bool asked_to_resume);
  Status begin_session(wire::HelloReplyT reply);
  Task<void> wait_backoff();
  void note_backoff(Errno error);

  // session.cpp
  void watch();
  void on_tick();
  void on_idle();
  void probe_silence(TimePoint now);
  TimePoint heard_at() const;
  Task<void> ping();
  void start_ping();
  Task<void> say_goodbye();
  Duration keep_alive_interval() const;
  bool gives_leases() const { return (hello_.features & proto::kFeatureLeases) != 0; }

  Executor executor_;
  Clock& clock_;
  Connector& connector_;
  SessionOptions options_;
  SessionEvents events_;

  ConnectionState state_ = ConnectionState::kConnecting;
  bool started_ = false;
  bool closing_ = false;
  int tasks_ = 0;
  WaitQueue changed_;
  WaitQueue ended_;  // tasks_ has become 0

  wire::HelloReplyT hello_;
  std::vector<std::uint8_t> session_id_;  // empty: there is nothing to resume
  std::uint64_t incarnation_ = 0;
  std::string error_text_;

  RpcStats stats_;
  CallTable calls_;
  std::unique_ptr<Link> link_;
  int link_loops_ = 0;
  TimePoint link_up_at_{};
  std::shared_ptr<Dial> dial_;

  // Since when the server has been silent although it owes a reply: since it last sent anything
  // (Hello does not count), or since the first call began after a time without any.
  TimePoint quiet_since_{};
  bool pinging_ = false;

  Duration backoff_{0};
  std::optional<Errno> logged_error_;  // of the reconnect under way; it is not logged again

  Alarm tick_;      // while calls are pending
  Alarm linger_;    // while calls are queued that need not be sent at once
  Alarm idle_;      // keep-alive
  Alarm retry_;     // backoff
  Alarm greeting_;  // bounds Hello
  Alarm farewell_;  // bounds close()
};

}  // namespace foliofs::rpc
