#include "daemon_log.h"

#include <fcntl.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "foliofs/base/unique_fd.h"
#include "foliofs/control/runtime_dir.h"

namespace foliofs::cli {
namespace {

constexpr std::size_t kFileBytes = 10 << 20;
constexpr std::size_t kOldFiles = 1;

}  // namespace

RefusalOr<DaemonLog> DaemonLog::open(const MountRequest& request) {
  DaemonLog log;
  const auto level = spdlog::level::from_str(request.options.log_level);
  if (request.foreground && request.log_file.empty()) {
    log.sink_ = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    if (level > spdlog::level::debug) log.sink_->set_level(spdlog::level::off);
  } else {
    std::string path = request.log_file;
    if (path.empty()) {
      BOOST_OUTCOME_TRY(const auto dir, control::make_runtime_dir());
      path = log.own_file_ = dir + "/foliofs-" + std::to_string(::getpid()) + ".log";
    }
    // Without this, the sink would create directories that are missing in the path.
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!file) {
      return Refusal{"cannot log to " + path + ": " + errno_text(last_errno())};
    }
    try {
      log.sink_ =
          std::make_shared<spdlog::sinks::rotating_file_sink_mt>(path, kFileBytes, kOldFiles);
    } catch (const spdlog::spdlog_ex& error) {
      return Refusal{"cannot log to " + path + ": " + error.what()};
    }
  }
  auto logger = std::make_shared<spdlog::logger>("foliofs", log.sink_);
  logger->set_level(level);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return log;
}

void DaemonLog::show() {
  sink_->set_level(spdlog::level::trace);
}

void DaemonLog::set_level(const std::string& level) {
  spdlog::default_logger()->set_level(spdlog::level::from_str(level));
}

void DaemonLog::discard() {
  if (own_file_.empty()) return;
  ::unlink(own_file_.c_str());
  ::unlink(spdlog::sinks::rotating_file_sink_mt::calc_filename(own_file_, 1).c_str());
}

}  // namespace foliofs::cli
