// Connection: one client's TCP connection, from HELLO to its end.
//
// Reads frames, has them executed (here, or in the export's pool when they would wait) and sends
// replies in whatever order they become ready. Everything runs on the connection's loop, except
// deliver() and fence(). A frame that violates the protocol ends the connection with one line in
// the log.
//
// Memory is bounded: the server stops reading from a connection whose requests and unsent replies
// hold too much.
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

  // Reading. An error means that the connection is over; why_ says why, unless it simply ended.
  Task<Result<Frame>> receive();
  Result<proto::FrameHeader> check_header(const proto::HeaderBytes& bytes);
  std::size_t take_buffered(std::span<std::byte> into);
  Task<Status> read_rest(std::span<std::byte> rest);
  Task<void> until_room();
  Errno violation(std::string why);

  // Hello (hello.cpp).
  // Begins or resumes the session and answers; an error means that the connection is over.
  Task<Status> answer_hello();
  // Closes the connection when the time that a client has for its HELLO is over, unless the timer
  // is cancelled before. `why` is for the log.
  void arm_deadline(std::string why);
  // The root's attributes; looks from the pool when the store is remote.
  Task<Result<wire::Attributes>> look_at_root();
  Task<Status> refuse(proto::FrameHeader hello, Errno error, std::string text);
  // True when an earlier session was resumed. EINVAL when that session is for another export.
  Result<bool> begin_session(const Export& share, const wire::HelloRequestT& hello);
  Outgoing hello_reply(const proto::FrameHeader& header, const wire::Attributes& root,
                       bool resumed) const;

  // Requests.
  Status handle(Frame frame);
  void execute(const Handler& handler, std::shared_ptr<Call> call);
  // Sends the reply once other clients have returned the leases that the call has ended. May run on
  // any thread; `from` is the connection that the call came over, if it still exists.
  static void finish(const Handler& handler, const std::shared_ptr<Call>& call,
                     Result<Reply> result, const std::weak_ptr<Connection>& from);
  // Runs the call once more, in the pool, when other clients have returned the exclusive leases
  // that blocked it.
  static void run_again(const Handler& handler, const std::shared_ptr<Call>& call,
                        const std::weak_ptr<Connection>& from);
  // While the call waits for other clients, counts only this reply against its connection.
  static void charge_less(const std::weak_ptr<Connection>& from, Outgoing& reply);
  void replay(Outgoing reply, std::shared_ptr<Call> call);

  // Writing.
  void enqueue(Outgoing frame);
  // The index in output_ at which a frame with this header is inserted.
  std::size_t queue_position(const proto::FrameHeader& header) const;
  void flush();
  bool send_some();
  static Task<void> drain(std::shared_ptr<Connection> self);
  Task<void> until_sent();

  Socket socket_;
  Services& services_;
  boost::asio::steady_timer deadline_;
  std::uint64_t deadlines_ = 0;  // times armed or cancelled: tells a late expiry
  const std::string peer_;
  std::shared_ptr<Session> session_;  // from Hello on
  std::string why_;                   // what the client did wrong
  bool bye_ = false;                  // BYE has arrived: nothing more is read
  bool hello_answered_ = false;       // HELLO has been answered; before that no notice is sent

  std::vector<std::byte> input_;  // received, not yet taken: [input_begin_, input_end_)
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;

  struct Pending {
    proto::HeaderBytes header;
    Outgoing frame;
    std::size_t held;  // its part of held_bytes_
  };
  std::deque<Pending> output_;
  std::size_t output_sent_ = 0;  // bytes of the first frame that have been sent
  bool reading_ = false;         // the reader is running, and will flush before it suspends
  bool flush_posted_ = false;
  bool draining_ = false;
  std::size_t held_bytes_ = 0;  // by requests that execute and replies not yet sent
  WaitQueue progress_;          // held_bytes_ fell, or everything has been sent
};

}  // namespace foliofs::server
