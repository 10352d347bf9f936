// A server on the test's own loop, over an in-memory stream. On demand it forgets sessions and
// handles, and holds requests or replies back; it records the requests. It has one export, and
// checks only the permissions that a test asks for.
#pragma once

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "foliofs/base/fault_point.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/proto/messages.h"
#include "foliofs/rpc/transport.h"
#include "tests/unit/vfs/fake_locks.h"

namespace foliofs::test {

using proto::MessageType;

struct ServerFile {
  std::uint64_t ino = 0;
  std::uint32_t mode = S_IFREG | 0644;
  std::uint32_t nlink = 1;
  std::uint32_t uid = 0;
  std::string data;
  std::map<std::string, std::uint64_t> names;  // of a directory
  std::map<std::string, std::string> xattrs;
  std::int64_t mtime_ns = 0, ctime_ns = 0, btime_ns = 0;
  std::int64_t atime_ns = 0;  // shown only if it is later than mtime_ns
  std::uint64_t foreign_changes = 0;
};

class FakeServer final : public rpc::Connector {
 public:
  explicit FakeServer(Executor executor) : executor_(std::move(executor)) {
    locks.granted = [this](std::uint64_t waiter) {
      grant_notice(waiter);
    };
    ServerFile& root = make(S_IFDIR | 0755);
    root.nlink = 2;
  }

  // --- What a test sets and looks at ---

  struct Seen {
    MessageType type;
    std::uint32_t uid;
    bool reclaim;
  };
  std::vector<Seen> seen;            // requests, in the order in which they were executed
  bool descriptor_handles = false;   // a restart forgets all handles
  bool checks_write = false;         // opens for writing need a write bit
  bool squashes_root = false;        // LOOKUP by root: EACCES
  bool brings_first_bytes = false;   // OPEN's reply has bytes of the file, if asked for
  std::map<MessageType, int> fails;  // errno with which each of these fails
  std::uint64_t write_verifier = 1;
  std::uint32_t idle_opens = 0;
  FakeLocks locks;
  std::vector<std::uint32_t> write_flags;         // of each WRITE
  std::uint32_t umask = 0;                        // of the latest CREATE or MKDIR
  std::size_t most_entries = ~std::size_t{0};     // in one reply to READDIR
  std::uint64_t most_copied = ~std::uint64_t{0};  // bytes that one COPYRANGE copies
  FaultPoints* faults = nullptr;                  // reaches kAfterSend when a WRITE has arrived
  // Gives a session that wants leases one of every file that a reply shows, unless the file's lease
  // is being recalled.
  bool gives_leases = false;
  std::vector<wire::ReturnLeasesRequestT> returned;  // each RETURN_LEASES
  // Gives the client that makes a file an exclusive lease of it.
  bool gives_exclusive = false;

  std::size_t count(MessageType type) const {
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const Seen& s) { return s.type == type; }));
  }
  ServerFile& root() { return files_.at(1); }
  ServerFile& file(const std::string& name) { return files_.at(root().names.at(name)); }
  ServerFile& file_of(std::uint64_t ino) { return files_.at(ino); }
  ServerFile& add(const std::string& name, std::string data, std::uint32_t mode = S_IFREG | 0644) {
    ServerFile& file = make(mode);
    file.data = std::move(data);
    root().names[name] = file.ino;
    return file;
  }
  // Another client changes the file.
  void change(const std::string& name, std::string data) {
    ServerFile& changed = file(name);
    changed.data = std::move(data);
    touch(changed);
    ++changed.foreign_changes;
  }

  // Requests of this type arrive but are not executed; or are executed but not answered.
  void hold_requests(MessageType type) { held_requests_.insert(type); }
  void hold_replies(MessageType type) { held_replies_.insert(type); }
  void release() {
    held_requests_.clear();
    held_replies_.clear();
    released_.wake_all();
  }
  // Sends the held replies, and goes on holding later ones.
  void release_these_replies() {
    ++replies_released_;
    released_.wake_all();
  }
  int waiting = 0;  // requests that are held, or whose replies are

  // The process ends and starts again: connections, sessions and opens are gone. Requests that are
  // held never get an answer.
  void restart() {
    ++run_;
    slots_.clear();
    recalls_.clear();
    opens_.clear();
    locks.forget_session();
    if (wire_) wire_->end();
    wire_.reset();
  }

  // Only the connection ends: the session is resumed over the next one, and every request is
  // executed once.
  void lose_connection() {
    if (wire_) wire_->end();
    wire_.reset();
  }

  // A lease to recall; for a directory, with the changed names in it.
  struct Lost {
    const ServerFile& file;
    std::vector<std::string> names;
  };
  void recall(std::uint64_t number, std::initializer_list<Lost> lost);
  void recall_everything();
  // Sends OPENSWANTED, as a server with little room for opens does.
  void want_opens();

  // Sends LOCKGRANTED.
  void grant_notice(std::uint64_t waiter) {
    wire::LockGrantedT granted;
    granted.waiter = waiter;
    notify(MessageType::kLockGranted, proto::encode(granted));
  }

  // --- Connector ---

  Task<Result<std::unique_ptr<rpc::Transport>>> connect(std::chrono::microseconds) override {
    wire_ = std::make_shared<Wire>();
    wire_->received = [this, wire = std::weak_ptr(wire_)] {
      take_frames(wire.lock());
    };
    std::unique_ptr<rpc::Transport> stream = std::make_unique<Stream>(wire_);
    co_return stream;
  }

 private:
  using Bytes = std::vector<std::byte>;

  // Both directions of one connection.
  struct Wire {
    Bytes to_server;
    std::deque<std::byte> to_client;
    bool ended = false;
    WaitQueue changed;
    std::function<void()> received;
    void end() {
      ended = true;
      changed.wake_all();
    }
  };
  struct Stream final : rpc::Transport {
    explicit Stream(std::shared_ptr<Wire> w) : wire(std::move(w)) {}
    ~Stream() override { wire->end(); }
    Task<Result<std::size_t>> read_some(std::span<const iovec> into) override {
      auto held = wire;
      while (held->to_client.empty() && !held->ended) co_await held->changed.wait();
      if (held->to_client.empty()) co_return Errno(ECONNRESET);
      std::size_t done = 0;
      for (const iovec& part : into) {
        auto* at = static_cast<std::byte*>(part.iov_base);
        for (std::size_t i = 0; i < part.iov_len && !held->to_client.empty(); ++i, ++done) {
          at[i] = held->to_client.front();
          held->to_client.pop_front();
        }
      }
      co_return done;
    }
    Task<Status> write_all(std::span<const iovec> from) override {
      if (wire->ended) co_return Errno(ECONNRESET);
      for (const iovec& part : from) {
        const auto* at = static_cast<const std::byte*>(part.iov_base);
        wire->to_server.insert(wire->to_server.end(), at, at + part.iov_len);
      }
      wire->received();
      co_return success();
    }
    void close() override { wire->end(); }
    std::shared_ptr<Wire> wire;
  };
  struct Frame {
    proto::FrameHeader header;
    Bytes meta, payload;
  };
  struct Reply {
    proto::MetaBuffer meta;
    std::string payload;
    int error = 0;
  };
  struct Open {
    std::uint64_t ino;
    int flags;
  };
  // The latest request in a slot.
  struct Taken {
    std::uint32_t sequence = 0;
    std::shared_ptr<const Reply> reply;
  };

  ServerFile& make(std::uint32_t mode) {
    ServerFile& file = files_[++last_ino_];
    file.ino = last_ino_;
    file.mode = mode;
    touch(file);
    file.btime_ns = file.ctime_ns;
    return file;
  }
  void touch(ServerFile& file) { file.mtime_ns = file.ctime_ns = ++time_ns_; }

  void take_frames(const std::shared_ptr<Wire>& wire) {
    while (wire && wire->to_server.size() >= proto::kHeaderBytes) {
      auto header = proto::decode_header(
          std::span<const std::byte, proto::kHeaderBytes>(wire->to_server.data(), 32));
      if (!header) std::abort();
      const std::size_t meta = header.value().meta_bytes, payload = header.value().payload_bytes;
      if (wire->to_server.size() < proto::kHeaderBytes + meta + payload) return;
      auto at = wire->to_server.begin() + proto::kHeaderBytes;
      const auto end_of_meta = at + static_cast<std::ptrdiff_t>(meta);
      const auto end = end_of_meta + static_cast<std::ptrdiff_t>(payload);
      Frame frame{header.value(), {at, end_of_meta}, {end_of_meta, end}};
      wire->to_server.erase(wire->to_server.begin(), end);
      spawn(executor_, "fake server", answer(wire, std::move(frame)));
    }
  }

  Task<void> answer(std::shared_ptr<Wire> wire, Frame frame) {
    const MessageType type = frame.header.type;
    ++waiting;
    while (held_requests_.contains(type) && !wire->ended) co_await released_.wait();
    --waiting;
    if (faults != nullptr && type == MessageType::kWrite) {
      co_await faults->reach(FaultPoint::kAfterSend);
    }
    if (wire->ended) co_return;
    Taken& taken = slots_[frame.header.slot];
    const bool again = type != MessageType::kHello && taken.sequence == frame.header.sequence;
    auto reply = again ? taken.reply : std::make_shared<const Reply>(execute(frame));
    if (type != MessageType::kHello) taken = {frame.header.sequence, reply};
    ++waiting;
    const int released = replies_released_;
    while (held_replies_.contains(type) && released == replies_released_ && !wire->ended) {
      co_await released_.wait();
    }
    --waiting;
    if (wire->ended) co_return;
    proto::FrameHeader header = frame.header;
    header.flags = proto::kFlagReply;
    if (reply->error != 0) {
      header.flags |= proto::kFlagError;
      wire::ErrorReplyT error;
      error.errno_value = reply->error;
      send(*wire, header, proto::encode(error));
    } else {
      send(*wire, header, reply->meta, reply->payload);
    }
  }

  void notify(MessageType type, const proto::MetaBuffer& metadata) {
    proto::FrameHeader header;
    header.type = type;
    header.flags = proto::kFlagNotice;
    send(*wire_, header, metadata);
  }

  static void send(Wire& wire, proto::FrameHeader header, const proto::MetaBuffer& metadata,
                   const std::string& data = {}) {
    header.meta_bytes = static_cast<std::uint32_t>(metadata.size());
    header.payload_bytes = static_cast<std::uint32_t>(data.size());
    const auto head = proto::encode_header(header);
    const auto meta = std::as_bytes(std::span(metadata.data(), metadata.size()));
    const auto payload = std::as_bytes(std::span(data));
    auto& out = wire.to_client;
    out.insert(out.end(), head.begin(), head.end());
    out.insert(out.end(), meta.begin(), meta.end());
    out.insert(out.end(), payload.begin(), payload.end());
    wire.changed.wake_all();
  }

  // --- Messages (fake_server.cpp) ---

  Reply execute(const Frame& frame);
  template <class Request>
  Reply run(const Frame& frame,
            Reply (FakeServer::*handler)(const typename Request::NativeTableType&));

  Reply hello(const wire::HelloRequestT&);
  Reply lookup(const wire::LookupRequestT&);
  Reply create(const wire::CreateRequestT&);
  Reply mkdir(const wire::MkdirRequestT&);
  Reply link(const wire::LinkRequestT&);
  Reply unlink(const wire::UnlinkRequestT&);
  Reply rename(const wire::RenameRequestT&);
  Reply read_dir(const wire::ReadDirRequestT&);
  Reply get_attr(const wire::GetAttrRequestT&);
  Reply set_attr(const wire::SetAttrRequestT&);
  Reply open(const wire::OpenRequestT&);
  Reply close(const wire::CloseRequestT&);
  Reply read(const wire::ReadRequestT&);
  Reply commit(const wire::CommitRequestT&);
  Reply allocate(const wire::AllocateRequestT&);
  Reply seek(const wire::SeekRequestT&);
  Reply copy_range(const wire::CopyRangeRequestT&);
  Reply write(const Frame& frame);
  // fake_xattrs.cpp
  Reply get_xattr(const wire::GetXattrRequestT&);
  Reply set_xattr(const Frame&);
  Reply list_xattr(const wire::ListXattrRequestT&);
  Reply remove_xattr(const wire::RemoveXattrRequestT&);
  Reply lock(const wire::LockRequestT&);
  Reply test_lock(const wire::TestLockRequestT&);
  Reply cancel_lock(const wire::CancelLockRequestT&);
  // fake_leases.cpp
  Reply return_leases(const wire::ReturnLeasesRequestT&);
  bool is_leased(const ServerFile& file) const;

  std::vector<std::uint8_t> handle_of(const ServerFile& file) const;
  // Sets the attributes of a SETATTR or a WRITE, except for the size.
  template <class Request>
  static void set_attributes(ServerFile& file, const Request& request);
  ServerFile* find(const std::vector<std::uint8_t>& handle);
  ServerFile* find_open(std::uint64_t open_id);
  std::unique_ptr<wire::Attributes> attributes_of(const ServerFile& file) const;
  std::uint32_t flags_of(const ServerFile& file) const;
  Reply entry(const ServerFile& file, const ServerFile& parent) const;
  bool may_open(const ServerFile& file, const wire::CallerT& caller, int flags) const;
  static Reply failed(int error) {
    Reply reply;
    reply.error = error;
    return reply;
  }
  template <class Native>
  static Reply encoded(const Native& native) {
    Reply reply;
    reply.meta = proto::encode(native);
    return reply;
  }

  Executor executor_;
  std::shared_ptr<Wire> wire_;
  std::map<std::uint64_t, ServerFile> files_;
  std::map<std::uint64_t, Open> opens_;
  std::map<std::uint32_t, Taken> slots_;
  std::map<std::uint64_t, std::set<std::uint64_t>> recalls_;  // inode numbers by recall
  std::uint64_t last_ino_ = 0;
  std::uint64_t last_open_ = 0;
  std::uint64_t run_ = 1;
  std::int64_t time_ns_ = 1'600'000'000'000'000'000;
  std::set<MessageType> held_requests_, held_replies_;
  int replies_released_ = 0;
  WaitQueue released_;
};

}  // namespace foliofs::test
