// Where the daemon of a mount logs to.
//
// In the foreground: to stderr. In the background: to <runtime directory>/foliofs-PID.log, which is
// removed at the end of a mount that lost nothing. With -o log_file=PATH: always to PATH, which is
// kept. When a file reaches 10 MiB, a new one is begun, and the old one is kept beside it.
#pragma once

#include <spdlog/common.h>

#include <string>

#include "foliofs/base/refusal.h"
#include "mount_request.h"

namespace foliofs::cli {

class DaemonLog {
 public:
  // Makes this the log of the process. In the foreground it is silent until show(), because the
  // reason why a mount does not start is reported in one line; at the levels debug and trace it is
  // not silent.
  static RefusalOr<DaemonLog> open(const MountRequest& request);

  void show();

  // `level` as in -o log_level=.
  void set_level(const std::string& level);

  // Removes the log file, unless the user chose it: the mount has lost nothing.
  void discard();

 private:
  spdlog::sink_ptr sink_;
  std::string own_file_;  // empty: not ours to remove
};

}  // namespace foliofs::cli
