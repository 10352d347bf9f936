// Connection: one client's TCP connection, from Hello to its end.
//
// Reads frames, has them executed (here, or in the export's pool when they would wait) and sends
// replies in whatever order they come. Everything runs on the loop that the connection belongs to,
// but for deliver() and fence(). A frame that no client that keeps to the protocol sends ends the
// connection with one line in the log.
//
// Memory is bounded: a connection whose requests and unsent replies hold too much is not read from.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>

#include "foliofs/base/task.h"
#include "foliofs/base/wait_queue.h"
#include "server/call.h"
#include "server/services.h"
#include "server/session.h"

namespace foliofs::server {

class Connection final : public ReplySink, public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp,
                                                  boost::asio::io_context::executor_type>;

  // `services` and the socket's loop must outlive the connection.
  Connection(Socket socket, Services& services);

  // The connection's whole life.
  static Task<void> serve(std::shared_ptr<Connection> self);

  void deliver(Outgoing frame) override;
  void fence() override;
  // Ends the connection. On its loop only.
  void close();

 private:
  struct Frame {
    proto::FrameHeader header;
    std::vector<std::byte> meta;
    Buffer payload;
  };

  // Reading. An error means that the connection is over; why_ says why, unless it just ended.
  Task<Result<Frame>> receive();
  Result<proto::FrameHeader> check_header(const proto::HeaderBytes& bytes);
  std::size_t take_buffered(std::span<std::byte> into);
  Task<Status> read_rest(std::span<std::byte> rest);
  Task<void> until_room();
  Errno violation(std::string why);

  // Hello (hello.cpp).
  // Begins or resumes the session and answers; an error when the connection is over.
  Task<Status> answer_hello();
  // Closes the connection after the time that a client has for its HELLO, unless the timer is
  // cancelled before. `why` is for the log.
  void arm_deadline(std::string why);
  // The root's attributes, from the pool when the store is remote.
  Task<Result<wire::Attributes>> look_at_root();
  Task<Status> refuse(proto::FrameHeader hello, Errno error, std::string text);
  // True when an earlier session was resumed. EINVAL when that one is of another export.
  Result<bool> begin_session(const Export& share, const wire::HelloRequestT& hello);
  Outgoing hello_reply(const proto::FrameHeader& header, const wire::Attributes& root,
                       bool resumed) const;

  // Requests.
  Status handle(Frame frame);
  void execute(const Handler& handler, std::shared_ptr<Call> call);
  // Answers once those have returned their leases that the call has ended. On any thread; `from` is
  // the connection that the call came over, if it is still there.
  static void finish(const Handler& handler, const std::shared_ptr<Call>& call,
                     Result<Reply> result, const std::weak_ptr<Connection>& from);
  // Runs the call once more, in the pool, when those have returned their exclusive leases that kept
  // it from being done.
  static void run_again(const Handler& handler, const std::shared_ptr<Call>& call,
                        const std::weak_ptr<Connection>& from);
  // From here on the call counts against its connection as no more than this reply, as long as it
  // waits for other clients.
  static void charge_less(const std::weak_ptr<Connection>& from, Outgoing& reply);
  void replay(Outgoing reply, std::shared_ptr<Call> call);

  // Writing.
  void enqueue(Outgoing frame);
  // Where in output_ a frame with this header is to be put.
  std::size_t queue_position(const proto::FrameHeader& header) const;
  void flush();
  bool send_some();
  static Task<void> drain(std::shared_ptr<Connection> self);
  Task<void> until_sent();

  Socket socket_;
  Services& services_;
  boost::asio::steady_timer deadline_;
  std::uint64_t deadlines_ = 0;  // armed or cancelled so far: tells one that came too late
  const std::string peer_;
  std::shared_ptr<Session> session_;  // from Hello on
  std::string why_;                   // what the client did wrong
  bool bye_ = false;                  // BYE has come: nothing more is read
  bool hello_answered_ = false;       // HELLO has been answered; no notice goes out before

  std::vector<std::byte> input_;  // received, not yet taken: [input_begin_, input_end_)
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;

  struct Pending {
    proto::HeaderBytes header;
    Outgoing frame;
    std::size_t held;  // its part of held_bytes_
  };
  std::deque<Pending> output_;
  std::size_t output_sent_ = 0;  // bytes of the first frame that are gone
  bool reading_ = false;         // the reader runs, and will flush before it suspends
  bool flush_posted_ = false;
  bool draining_ = false;
  std::size_t held_bytes_ = 0;  // of requests that execute and replies not yet sent
  WaitQueue progress_;          // held_bytes_ fell, or all is sent
};

}  // namespace foliofs::server
