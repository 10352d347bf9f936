// The options of foliofsd: from its command line and, in the same words, from a TOML file.
//
// Only reads and checks; nothing here opens an export or a socket.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/limits.h"
#include "foliofs/base/refusal.h"
#include "server/export.h"
#include "server/local_store.h"

namespace foliofs::server {

struct Options {
  boost::asio::ip::tcp::endpoint listen{boost::asio::ip::address_v4::loopback(), kDefaultPort};
  bool allow_plaintext = false;
  std::vector<ExportOptions> exports;
  unsigned threads = 0;  // 0: one per core, at most 8
  std::chrono::microseconds poll{200};
  std::chrono::milliseconds grace{90'000};
  std::chrono::milliseconds hello_timeout{10'000};             // not for users
  HandleKind handles = HandleKind::kAutomatic;                 // not for users
  std::chrono::milliseconds recall_patience{kRecallPatience};  // not for users
  bool watches_disk = true;                                    // not for users
  std::string state_dir;                                       // empty: the default
  std::string log_level = "info";
};

// What to do: serve with `options`, or print `text` and exit successfully.
struct Invocation {
  Options options;
  std::string text;  // --help and --version
};

RefusalOr<Invocation> parse_command_line(int argc, const char* const* argv);

// NAME=PATH[,ro][,noleases][,sole][,squash=root|none|all][,anonuid=N][,anongid=N]
RefusalOr<ExportOptions> parse_export(std::string_view text);

// ADDR, ADDR:PORT or [ADDR6]:PORT; "localhost" is 127.0.0.1.
RefusalOr<boost::asio::ip::tcp::endpoint> parse_listen(std::string_view text);

// Reads `path` into `options`: what the file names replaces what is there; exports are added.
RefusalOr<void> read_config(const std::string& path, Options& options);

// Checks what shows only when everything has been read: there is at least one export, no name
// occurs twice, and plain text is not served to other machines unless that is allowed.
RefusalOr<void> check_options(const Options& options);

}  // namespace foliofs::server
