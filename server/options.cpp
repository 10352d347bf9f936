#include "server/options.h"

#include <fmt/format.h>
#include <spdlog/common.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <set>
#include <toml.hpp>

#include "foliofs/base/parse_integer.h"

namespace foliofs::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr const char* kExportSyntax =
    "NAME=PATH[,ro][,noleases][,sole][,squash=root|none|all][,anonuid=N][,anongid=N]";

Refusal refuse(std::string line) {
  return Refusal{std::move(line)};
}

RefusalOr<Squash> parse_squash(std::string_view text) {
  if (text == "root") return Squash::kRoot;
  if (text == "none") return Squash::kNone;
  if (text == "all") return Squash::kAll;
  return refuse(fmt::format("squash is root, none or all, not \"{}\"", text));
}

RefusalOr<std::uint32_t> parse_id(std::string_view word, std::string_view text) {
  const auto id = parse_integer<std::uint32_t>(text);
  if (!id || *id == kNoId) {
    return refuse(fmt::format("{} is a numeric id, not \"{}\"", word, text));
  }
  return *id;
}

RefusalOr<void> check_name(std::string_view name) {
  const auto ordinary = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  };
  if (name.empty() || name.size() > kMaxNameBytes || name == "." || name == ".." ||
      !std::all_of(name.begin(), name.end(), ordinary)) {
    return refuse(fmt::format(
        "\"{}\" is no name for an export; use letters, digits, '.', '_' and '-'", name));
  }
  return success();
}

Refusal contradictory() {
  return refuse("sole is about leases, and there shall be none; leave one of both out");
}

RefusalOr<void> apply_word(ExportOptions& share, std::string_view word) {
  const std::size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const std::string_view value = equals == word.npos ? "" : word.substr(equals + 1);
  if (word == "ro") {
    share.read_only = true;
  } else if (word == "noleases") {
    share.leases = false;
  } else if (word == "sole") {
    share.sole = true;
  } else if (key == "squash") {
    BOOST_OUTCOME_TRY(share.squash.squash, parse_squash(value));
  } else if (key == "anonuid") {
    BOOST_OUTCOME_TRY(share.squash.anon_uid, parse_id(key, value));
  } else if (key == "anongid") {
    BOOST_OUTCOME_TRY(share.squash.anon_gid, parse_id(key, value));
  } else {
    return refuse(
        fmt::format("unknown export option \"{}\"; there are ro, noleases, sole, squash=, anonuid= "
                    "and anongid=",
                    word));
  }
  return success();
}

}  // namespace

RefusalOr<ExportOptions> parse_export(std::string_view text) {
  const auto usage = [&](const Refusal& why) {
    return refuse(fmt::format("export \"{}\": {}", text, why.text));
  };
  std::string_view rest = text.substr(std::min(text.find(','), text.size()));
  const std::string_view first = text.substr(0, text.size() - rest.size());
  const std::size_t equals = first.find('=');
  if (equals == first.npos || equals + 1 == first.size()) {
    return usage(refuse(std::string("expected ") + kExportSyntax));
  }
  ExportOptions share;
  share.name = first.substr(0, equals);
  share.path = first.substr(equals + 1);
  if (auto named = check_name(share.name); !named) return usage(named.error());
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(word.size());
    if (auto applied = apply_word(share, word); !applied) return usage(applied.error());
  }
  if (share.sole && !share.leases) return usage(contradictory());
  return share;
}

RefusalOr<tcp::endpoint> parse_listen(std::string_view text) {
  const auto bad = [&] {
    return refuse(
        fmt::format("\"{}\" is no address to listen on; use ADDR:PORT, such as "
                    "127.0.0.1:{} or [::1]:{}",
                    text, kDefaultPort, kDefaultPort));
  };
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == text.npos) return bad();
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (!port.empty() && !port.starts_with(':')) return bad();
  } else if (const std::size_t colon = text.find(':');
             colon != text.npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
  }
  const auto number = port.empty() ? kDefaultPort : parse_integer<std::uint16_t>(port.substr(1));
  if (!number) return bad();
  boost::system::error_code error;
  const auto address =
      asio::ip::make_address(host == "localhost" ? "127.0.0.1" : std::string(host), error);
  if (error) return bad();
  return tcp::endpoint(address, *number);
}

RefusalOr<void> check_options(const Options& options) {
  if (options.exports.empty()) return refuse("nothing to export; use --export NAME=PATH");
  std::set<std::string> names;
  for (const ExportOptions& share : options.exports) {
    if (!names.insert(share.name).second) {
      return refuse(
          fmt::format("two exports are called {}; give each a name of its own", share.name));
    }
  }
  const auto address = options.listen.address();
  if (!address.is_loopback() && !options.allow_plaintext) {
    return refuse(
        fmt::format("{} is not a loopback address and there is no encryption yet; listen "
                    "on 127.0.0.1, or give --allow-plaintext",
                    address.to_string()));
  }
  return success();
}

// --- The file -----------------------------------------------------------------------------------

namespace {

RefusalOr<std::chrono::milliseconds> to_grace(double seconds) {
  if (!(seconds > 0 && seconds <= 86400)) {
    return refuse("grace is a number of seconds, at most 86400");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

RefusalOr<void> check_level(const std::string& level) {
  if (level != "off" && spdlog::level::from_str(level) == spdlog::level::off) {
    return refuse(fmt::format(
        "log-level is trace, debug, info, warn, error, critical or off, not \"{}\"", level));
  }
  return success();
}

RefusalOr<std::int64_t> to_number(const toml::value& value, std::string_view key,
                                  std::int64_t most) {
  if (!value.is_integer() || value.as_integer() < 0 || value.as_integer() > most) {
    return refuse(fmt::format("{} is a number, at most {}", key, most));
  }
  return value.as_integer();
}

RefusalOr<std::string> to_text(const toml::value& value, std::string_view key) {
  if (!value.is_string()) return refuse(fmt::format("{} is a string", key));
  return std::string(value.as_string().str);
}

RefusalOr<bool> to_switch(const toml::value& value, std::string_view key) {
  if (!value.is_boolean()) return refuse(fmt::format("{} is true or false", key));
  return value.as_boolean();
}

// An export as a string, in the command line's form, or as a table with the same words.
RefusalOr<ExportOptions> read_export(const toml::value& value) {
  if (value.is_string()) return parse_export(value.as_string().str);
  if (!value.is_table()) return refuse("export is a table or a string");
  ExportOptions share;
  for (const auto& [key, entry] : value.as_table()) {
    if (key == "name") {
      BOOST_OUTCOME_TRY(share.name, to_text(entry, key));
    } else if (key == "path") {
      BOOST_OUTCOME_TRY(share.path, to_text(entry, key));
    } else if (key == "ro") {
      BOOST_OUTCOME_TRY(share.read_only, to_switch(entry, key));
    } else if (key == "noleases") {
      BOOST_OUTCOME_TRY(auto none, to_switch(entry, key));
      share.leases = !none;
    } else if (key == "sole") {
      BOOST_OUTCOME_TRY(share.sole, to_switch(entry, key));
    } else if (key == "squash") {
      BOOST_OUTCOME_TRY(auto text, to_text(entry, key));
      BOOST_OUTCOME_TRY(share.squash.squash, parse_squash(text));
    } else if (key == "anonuid") {
      BOOST_OUTCOME_TRY(auto id, to_number(entry, key, kNoId - 1));
      share.squash.anon_uid = static_cast<uid_t>(id);
    } else if (key == "anongid") {
      BOOST_OUTCOME_TRY(auto id, to_number(entry, key, kNoId - 1));
      share.squash.anon_gid = static_cast<gid_t>(id);
    } else {
      return refuse(fmt::format(
          "unknown key \"{}\" in an export; there are name, path, ro, noleases, sole, squash, "
          "anonuid and anongid",
          key));
    }
  }
  BOOST_OUTCOME_TRYV(check_name(share.name));
  if (share.path.empty()) return refuse(fmt::format("export {} has no path", share.name));
  if (share.sole && !share.leases) return contradictory();
  return share;
}

RefusalOr<void> read_key(const std::string& key, const toml::value& value, Options& options) {
  if (key == "listen") {
    BOOST_OUTCOME_TRY(auto text, to_text(value, key));
    BOOST_OUTCOME_TRY(options.listen, parse_listen(text));
  } else if (key == "allow-plaintext") {
    BOOST_OUTCOME_TRY(options.allow_plaintext, to_switch(value, key));
  } else if (key == "threads") {
    BOOST_OUTCOME_TRY(auto threads, to_number(value, key, 256));
    if (threads == 0) return refuse("threads is at least 1; leave it out for one a core");
    options.threads = static_cast<unsigned>(threads);
  } else if (key == "poll") {
    BOOST_OUTCOME_TRY(auto poll, to_number(value, key, 10'000));
    options.poll = std::chrono::microseconds(poll);
  } else if (key == "grace") {
    const double seconds = value.is_floating()  ? value.as_floating()
                           : value.is_integer() ? static_cast<double>(value.as_integer())
                                                : -1;
    BOOST_OUTCOME_TRY(options.grace, to_grace(seconds));
  } else if (key == "state-dir") {
    BOOST_OUTCOME_TRY(options.state_dir, to_text(value, key));
  } else if (key == "log-level") {
    BOOST_OUTCOME_TRY(options.log_level, to_text(value, key));
    BOOST_OUTCOME_TRYV(check_level(options.log_level));
  } else if (key == "export") {
    if (!value.is_array()) return refuse("export is a list: [[export]], or export = [\"…\"]");
    for (const toml::value& entry : value.as_array()) {
      BOOST_OUTCOME_TRY(auto share, read_export(entry));
      options.exports.push_back(std::move(share));
    }
  } else {
    return refuse(
        fmt::format("unknown key \"{}\"; there are listen, allow-plaintext, threads, poll, grace, "
                    "state-dir, log-level and export",
                    key));
  }
  return success();
}

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

RefusalOr<void> read_config(const std::string& path, Options& options) {
  if (::access(path.c_str(), R_OK) != 0) {
    return refuse(fmt::format("{}: {}; name a file that can be read with --config", path,
                              errno_text(last_errno())));
  }
  toml::value file;
  try {
    file = toml::parse(path);
  } catch (const toml::exception& error) {
    return refuse(
        fmt::format("{}:{}: {}", path, error.location().line(), first_line(error.what())));
  } catch (const std::exception& error) {
    return refuse(fmt::format("{}: {}", path, first_line(error.what())));
  }
  for (const auto& [key, value] : file.as_table()) {
    auto read = read_key(key, value, options);
    if (!read) {
      return refuse(fmt::format("{}:{}: {}", path, value.location().line(), read.error().text));
    }
  }
  return success();
}

// --- The command line ---------------------------------------------------------------------------

namespace {

// The options as CLI11 fills them in.
struct RawOptions {
  std::optional<std::string> config, listen, state_dir, log_level;
  std::vector<std::string> exports;
  std::optional<unsigned> threads, poll_us;
  std::optional<double> grace;
  bool allow_plaintext = false;
};

void describe(CLI::App& app, RawOptions& raw) {
  app.set_version_flag("--version", "foliofsd " FOLIOFS_VERSION);
  app.add_option("--export", raw.exports, std::string("Directory to offer: ") + kExportSyntax)
      ->type_name("SPEC")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--listen", raw.listen,
                 "Where to listen [127.0.0.1:7440]; port 0 takes a free one")
      ->type_name("ADDR:PORT");
  app.add_flag("--allow-plaintext", raw.allow_plaintext,
               "Listen on an address that is not loopback, without encryption");
  app.add_option("--config", raw.config, "TOML file with the same words; the command line wins")
      ->type_name("FILE");
  app.add_option("--threads", raw.threads, "Threads for connections [one a core, at most 8]")
      ->check(CLI::Range(1, 256))
      ->type_name("N");
  app.add_option("--poll", raw.poll_us,
                 "Microseconds to poll after activity before sleeping [200]; 0 never polls")
      ->check(CLI::Range(0, 10'000))
      ->type_name("US");
  app.add_option("--grace", raw.grace,
                 "Seconds to keep a session whose client lost its connection [90]")
      ->type_name("S");
  app.add_option("--state-dir", raw.state_dir,
                 "Where the key of the file handles is kept [/var/lib/foliofs, or "
                 "$XDG_STATE_HOME/foliofs]")
      ->type_name("DIR");
  app.add_option("--log-level", raw.log_level,
                 "trace, debug, info, warn, error, critical, off [info]")
      ->type_name("LEVEL");
}

RefusalOr<Options> resolve(const RawOptions& raw) {
  Options options;
  if (raw.config) {
    BOOST_OUTCOME_TRYV(read_config(*raw.config, options));
  }
  if (raw.listen) {
    BOOST_OUTCOME_TRY(options.listen, parse_listen(*raw.listen));
  }
  for (const std::string& text : raw.exports) {
    BOOST_OUTCOME_TRY(auto share, parse_export(text));
    options.exports.push_back(std::move(share));
  }
  if (raw.allow_plaintext) options.allow_plaintext = true;
  if (raw.threads) options.threads = *raw.threads;
  if (raw.poll_us) options.poll = std::chrono::microseconds(*raw.poll_us);
  if (raw.grace) {
    BOOST_OUTCOME_TRY(options.grace, to_grace(*raw.grace));
  }
  if (raw.state_dir) options.state_dir = *raw.state_dir;
  if (raw.log_level) {
    BOOST_OUTCOME_TRYV(check_level(*raw.log_level));
    options.log_level = *raw.log_level;
  }
  BOOST_OUTCOME_TRYV(check_options(options));
  return options;
}

}  // namespace

RefusalOr<Invocation> parse_command_line(int argc, const char* const* argv) {
  CLI::App app("Offers directories of this machine to foliofs clients.", "foliofsd");
  RawOptions raw;
  describe(app, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Invocation{{}, app.help()};
  } catch (const CLI::CallForVersion& version) {
    return Invocation{{}, std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    return refuse(first_line(error.what()) + " (see foliofsd --help)");
  }
  BOOST_OUTCOME_TRY(auto options, resolve(raw));
  return Invocation{std::move(options), {}};
}

}  // namespace foliofs::server
