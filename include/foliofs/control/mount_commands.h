// MountCommands: carries out the control socket's commands on one mount.
//
//   stats                                    the object of `foliofs stats`
//   set        options [[key, value], …]     null; sets all of them, or refuses
//   invalidate path_bytes [mode] flush       the object of `foliofs invalidate`
//   drain                                    {"error", "text", "dirty_bytes"};
//                                            progress: {"dirty_bytes"}
//   abandon                                  {"dirty_bytes"}: what will be lost
//
// path_bytes is the path relative to the root of the mount, as an array of numbers, because names
// are bytes and JSON strings are Unicode.
#pragma once

#include <functional>
#include <string>

#include "foliofs/control/command_handler.h"
#include "foliofs/rpc/session.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::control {

class MountCommands final : public CommandHandler {
 public:
  // What the owner of the mount has to do in addition. Both are called on the loop.
  struct Hooks {
    // The user gives up the dirty data: from then on nothing may wait for the server.
    std::function<void()> abandon;
    // Called after a `set`, for options that belong to the process (poll, log_level).
    std::function<void(const vfs::MountOptions&)> options_changed;
  };

  // `mount` and `session` must outlive this object.
  MountCommands(vfs::Mount& mount, rpc::Session& session, Hooks hooks);

  Task<nlohmann::json> run(Peer peer, nlohmann::json request, Progress progress) override;

 private:
  nlohmann::json stats() const;
  nlohmann::json set(const nlohmann::json& request);
  Task<nlohmann::json> invalidate(Peer peer, nlohmann::json request);
  Task<nlohmann::json> drain(Progress progress);
  nlohmann::json abandon();

  vfs::Mount& mount_;
  rpc::Session& session_;
  Hooks hooks_;
};

}  // namespace foliofs::control
