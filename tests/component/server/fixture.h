// The base of the server's component tests: a directory of their own, a server in the process, and
// a client that speaks frames and nothing more.
//
// The client is synchronous and bounded: every receive fails after some seconds.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "foliofs/base/limits.h"
#include "foliofs/proto/messages.h"
#include "server/server.h"

namespace foliofs::server {

namespace fs = std::filesystem;
using proto::FrameHeader;
using proto::MessageType;
using Bytes = std::vector<std::uint8_t>;

inline constexpr int kReceiveTimeoutMs = 10'000;

// A temporary directory, which is removed with everything in it when the test ends.
class ScratchDir {
 public:
  ScratchDir() {
    std::string path = fs::temp_directory_path() / "foliofs-server-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) std::abort();
    ::chmod(path.c_str(), 0755);
    path_ = path;
  }
  ~ScratchDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

struct RawFrame {
  FrameHeader header;
  std::vector<std::byte> meta;
  std::string payload;
};

template <class Table>
struct Answer {
  typename Table::NativeTableType reply;
  std::string payload;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      ADD_FAILURE() << "connect: " << std::strerror(errno);
    }
  }

  // --- Frames ---

  bool send_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  static std::string frame_bytes(FrameHeader header, std::string_view meta,
                                 std::string_view payload = {}) {
    header.meta_bytes = static_cast<std::uint32_t>(meta.size());
    header.payload_bytes = static_cast<std::uint32_t>(payload.size());
    const auto head = proto::encode_header(header);
    std::string bytes(reinterpret_cast<const char*>(head.data()), head.size());
    return bytes.append(meta).append(payload);
  }

  // ECONNRESET when the connection has ended, ETIMEDOUT when nothing comes in time.
  Result<RawFrame> receive() {
    proto::HeaderBytes head;
    BOOST_OUTCOME_TRYV(read_exactly(head.data(), head.size()));
    BOOST_OUTCOME_TRY(auto header, proto::decode_header(head));
    RawFrame frame{header, std::vector<std::byte>(header.meta_bytes),
                   std::string(header.payload_bytes, '\0')};
    BOOST_OUTCOME_TRYV(read_exactly(frame.meta.data(), frame.meta.size()));
    BOOST_OUTCOME_TRYV(read_exactly(frame.payload.data(), frame.payload.size()));
    return frame;
  }

  bool has_ended() {
    std::byte byte;
    return read_exactly(&byte, 1) == Status(Errno(ECONNRESET));
  }

  void hang_up() { fd_ = UniqueFd(); }

  // --- Calls ---

  Result<wire::HelloReplyT> hello(const std::string& name, Bytes session = {},
                                  std::uint32_t slots = 8) {
    wire::HelloRequestT request;
    request.version = proto::kVersion;
    request.features = features;
    request.export_name = name;
    request.client_name = "test";
    request.session = std::move(session);
    request.slots = slots;
    BOOST_OUTCOME_TRY(auto answer, exchange(FrameHeader{MessageType::kHello}, request));
    session_ = answer.reply.session;
    root_ = answer.reply.root;
    return std::move(answer.reply);
  }

  // A header for the next request in `slot`.
  FrameHeader next(MessageType type, std::uint32_t slot = 0) {
    FrameHeader header;
    header.type = type;
    header.slot = slot;
    header.sequence = ++sequences_[slot];
    header.request_id = ++request_id_;
    return header;
  }

  template <class Native>
  bool send(const FrameHeader& header, const Native& request, std::string_view payload = {}) {
    const auto meta = proto::encode(request);
    return send_bytes(
        frame_bytes(header, {reinterpret_cast<const char*>(meta.data()), meta.size()}, payload));
  }

  template <class Native>
  auto exchange(const FrameHeader& header, const Native& request, std::string_view payload = {})
      -> Result<Answer<typename proto::Message<typename Native::TableType>::Reply>> {
    using Table = typename proto::Message<typename Native::TableType>::Reply;
    if (!send(header, request, payload)) return Errno(ECONNRESET);
    return read_answer<Table>(header);
  }

  template <class Table>
  Result<Answer<Table>> read_answer(const FrameHeader& header) {
    BOOST_OUTCOME_TRY(auto frame, receive());
    EXPECT_EQ(frame.header.request_id, header.request_id);
    EXPECT_EQ(frame.header.type, header.type);
    if (frame.header.is_error()) {
      BOOST_OUTCOME_TRY(auto error, proto::decode<wire::ErrorReply>(frame.meta));
      error_text_ = error.text;
      return Errno(error.errno_value);
    }
    BOOST_OUTCOME_TRY(auto reply, proto::decode<Table>(frame.meta));
    return Answer<Table>{std::move(reply), std::move(frame.payload)};
  }

  template <class Native>
  auto call(const Native& request, std::string_view payload = {}) {
    return exchange(next(proto::Message<typename Native::TableType>::kType), request, payload);
  }

  // Continues the slots of the session of `other`, whose connection is gone.
  void take_over(const RawClient& other) {
    sequences_ = other.sequences_;
    request_id_ = other.request_id_;
  }

  const Bytes& session() const { return session_; }
  const Bytes& root() const { return root_; }
  const std::string& error_text() const { return error_text_; }

  // --- Shorthands ---

  std::unique_ptr<wire::CallerT> caller() const {
    auto caller = std::make_unique<wire::CallerT>();
    caller->uid = uid;
    caller->gid = gid;
    caller->groups = groups;
    return caller;
  }
  auto lookup(const Bytes& parent, const std::string& name) {
    wire::LookupRequestT request;
    request.caller = caller();
    request.parent = parent;
    request.name = name;
    return call(request);
  }
  wire::CreateRequestT create_request(const Bytes& parent, const std::string& name,
                                      int flags = O_RDWR, mode_t mode = 0644) const {
    wire::CreateRequestT request;
    request.caller = caller();
    request.parent = parent;
    request.name = name;
    request.mode = mode;
    request.open_flags = static_cast<std::uint32_t>(flags);
    return request;
  }
  auto create(const Bytes& parent, const std::string& name, int flags = O_RDWR,
              mode_t mode = 0644) {
    return call(create_request(parent, name, flags, mode));
  }
  auto open(const Bytes& handle, int flags = O_RDONLY, std::uint32_t read_bytes = 0) {
    wire::OpenRequestT request;
    request.caller = caller();
    request.handle = handle;
    request.open_flags = static_cast<std::uint32_t>(flags);
    request.read_bytes = read_bytes;
    return call(request);
  }
  auto close(std::uint64_t open_id) {
    wire::CloseRequestT request;
    request.open_id = open_id;
    return call(request);
  }
  auto read(std::uint64_t open_id, std::uint64_t offset, std::uint32_t length) {
    wire::ReadRequestT request;
    request.open_id = open_id;
    request.offset = offset;
    request.length = length;
    return call(request);
  }
  auto write(std::uint64_t open_id, std::uint64_t offset, std::string_view data) {
    wire::WriteRequestT request;
    request.open_id = open_id;
    request.offset = offset;
    return call(request, data);
  }
  auto get_attr(const Bytes& handle, std::uint64_t open_id = 0) {
    wire::GetAttrRequestT request;
    request.caller = caller();
    request.handle = handle;
    request.open_id = open_id;
    return call(request);
  }
  auto unlink(const Bytes& parent, const std::string& name, bool directory = false) {
    wire::UnlinkRequestT request;
    request.caller = caller();
    request.parent = parent;
    request.name = name;
    request.directory = directory;
    return call(request);
  }
  auto mkdir(const Bytes& parent, const std::string& name, mode_t mode = 0755) {
    wire::MkdirRequestT request;
    request.caller = caller();
    request.parent = parent;
    request.name = name;
    request.mode = mode;
    return call(request);
  }

  std::uint64_t features = 0;  // sent by hello()
  std::uint32_t uid = ::geteuid();
  std::uint32_t gid = ::getegid();
  std::vector<std::uint32_t> groups;

 private:
  Status read_exactly(void* into, std::size_t size) {
    auto* at = static_cast<char*>(into);
    while (size > 0) {
      pollfd waiting{fd_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, kReceiveTimeoutMs) <= 0) return Errno(ETIMEDOUT);
      const ssize_t got = ::recv(fd_.get(), at, size, 0);
      if (got <= 0) return Errno(ECONNRESET);
      at += got;
      size -= static_cast<std::size_t>(got);
    }
    return success();
  }

  UniqueFd fd_;
  std::map<std::uint32_t, std::uint32_t> sequences_;
  std::uint64_t request_id_ = 0;
  Bytes session_;
  Bytes root_;
  std::string error_text_;
};

// A server with the exports "data" (without squashing) and "ro" (read-only) of the same directory.
class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(tree());
    ::chmod(tree().c_str(), 0755);  // servers of earlier tests have set the umask
    Options options;
    options.listen.port(0);
    options.state_dir = scratch_.path() / "state";
    options.threads = 2;
    adjust(options);
    ExportOptions data{"data", tree(), false, {Squash::kNone, 65534, 65534}};
    ExportOptions ro = data;
    ro.name = "ro";
    ro.read_only = true;
    if (options.exports.empty()) options.exports = {data, ro};
    server_ = std::make_unique<Server>(options);
    auto started = server_->start();
    ASSERT_TRUE(started) << started.error().text;
  }
  void TearDown() override { server_.reset(); }

  virtual void adjust(Options&) {}

  std::uint16_t port() const { return server_->endpoint().port(); }
  fs::path tree() const { return scratch_.path() / "tree"; }

  // A client with a session.
  std::unique_ptr<RawClient> connect(const std::string& name = "data") {
    auto client = std::make_unique<RawClient>(port());
    auto hello = client->hello(name);
    EXPECT_TRUE(hello) << errno_name(hello.error());
    return client;
  }

  void put_file(const std::string& name, const std::string& content) {
    std::ofstream(tree() / name) << content;
  }
  std::string file_content(const std::string& name) {
    std::ifstream file(tree() / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  ScratchDir scratch_;
  std::unique_ptr<Server> server_;
};

template <class T>
int errno_of(const Result<T>& result) {
  return result ? 0 : result.error().value();
}

}  // namespace foliofs::server
