// Acting as somebody else: the calling thread's fsuid, fsgid and supplementary groups.
//
// What a thread acts as stays until its next act_as*: equal callers in a row cost nothing, and
// every piece of code that touches files says first as whom. A server without CAP_SETUID and
// CAP_SETGID serves as itself. Capabilities that let a thread past the permissions of files are in
// force only for uid 0 and for act_as_server, also where the server has them without being root.
#pragma once

#include "foliofs/base/result.h"
#include "server/identity.h"

namespace foliofs::server {

// Whether this process may act as others. Decided once.
bool can_act_as_others();

// The thread acts as `identity` from here on. The first call on a thread also gives up
// CAP_SYS_RESOURCE there, which would let callers past their quotas. EPERM when the kernel refuses;
// the thread must then not touch files before a later act_as* has succeeded.
Status act_as(const Identity& identity);

// The thread acts with the server's own privileges: what resolving handles needs.
Status act_as_server();

// While one lives, the thread is without the capabilities that concern extended attributes
// (CAP_SYS_ADMIN, CAP_SETFCAP, CAP_MAC_ADMIN), unless `caller` is to have them: uid 0, on a server
// that can act as others. The kernel leaves those with a thread whatever its fsuid is.
class WithoutAdministration {
 public:
  explicit WithoutAdministration(const Identity& caller);
  ~WithoutAdministration();
  WithoutAdministration(const WithoutAdministration&) = delete;
  WithoutAdministration& operator=(const WithoutAdministration&) = delete;

  // False when the kernel has refused; nothing must be done for the caller then.
  bool in_force() const { return in_force_; }

 private:
  bool in_force_ = true;
  bool dropped_ = false;
};

// Files that the thread makes from here on get this umask. False when a thread cannot have one of
// its own here; then nothing has changed.
bool set_thread_umask(mode_t mask);

}  // namespace foliofs::server
