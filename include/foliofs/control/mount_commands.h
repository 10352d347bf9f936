// MountCommands: what the control socket's commands do to one mount.
//
//   stats                                    the object of `foliofs stats`
//   set        options [[key, value], …]     null; all of them, or a refusal
//   invalidate path_bytes [mode] flush       the object of `foliofs invalidate`
//   drain                                    {"error", "text", "dirty_bytes"};
//                                            progress: {"dirty_bytes"}
//   abandon                                  {"dirty_bytes"}: what will be lost
//
// path_bytes is an array of numbers, relative to the root of the mount: names are bytes, and JSON
// has only Unicode.
#pragma once

#include <functional>
#include <string>

#include "foliofs/control/command_handler.h"
#include "foliofs/rpc/session.h"
#include "foliofs/vfs/mount.h"

namespace foliofs::control {

class MountCommands final : public CommandHandler {
 public:
  // What whoever owns the mount has to do beside. Both are called on the loop.
  struct Hooks {
    // Somebody gives up what is dirty: from then on nothing may wait for the server.
    std::function<void()> abandon;
    // After a `set`: for what belongs to the process (poll, log_level).
    std::function<void(const vfs::MountOptions&)> options_changed;
  };

  // `mount` and `session` must outlive this.
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
