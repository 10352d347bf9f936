// Where the daemon of a mount logs to.
//
// In the foreground: stderr. In the background: <runtime directory>/foliofs-PID.log, which is
// removed at the end of a mount that lost nothing. With -o log_file=PATH: there, always, and kept.
// A file has at most 10 MiB; then it is begun anew and the old one is kept beside it.
#pragma once

#include <spdlog/common.h>

#include <string>

#include "foliofs/base/refusal.h"
#include "mount_request.h"

namespace foliofs::cli {

class DaemonLog {
 public:
  // Becomes the log of the process. In the foreground it is silent until show(), as what keeps a
  // mount from starting is told in one line; but not at the levels debug and trace.
  static RefusalOr<DaemonLog> open(const MountRequest& request);

  void show();

  // As -o log_level= names it.
  void set_level(const std::string& level);

  // The mount has ended and lost nothing.
  void discard();

 private:
  spdlog::sink_ptr sink_;
  std::string own_file_;  // empty: not ours to remove
};

}  // namespace foliofs::cli
