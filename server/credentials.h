// Acting as another user: sets the calling thread's fsuid, fsgid and supplementary groups.
//
// A thread keeps its identity until its next act_as*, so calls for the same caller in a row cost
// nothing; code that touches files must therefore call act_as* first. A server without CAP_SETUID
// and CAP_SETGID acts as itself. Capabilities that let a thread past file permissions are in force
// only for uid 0 and for act_as_server, even if the server has them without being root.
#pragma once

#include "foliofs/base/result.h"
#include "server/identity.h"

namespace foliofs::server {

// Whether this process may act as other users. Decided once.
bool can_act_as_others();

// The thread acts as `identity` from here on. The first call on a thread also drops
// CAP_SYS_RESOURCE there, which would let callers exceed their quotas. EPERM when the kernel
// refuses; the thread must then not touch files until a later act_as* has succeeded.
Status act_as(const Identity& identity);

// The thread acts with the server's own privileges, which resolving handles needs.
Status act_as_server();

// While an instance lives, the thread lacks the capabilities that concern extended attributes
// (CAP_SYS_ADMIN, CAP_SETFCAP, CAP_MAC_ADMIN), which the kernel leaves to a thread whatever its
// fsuid is. Exception: a `caller` with uid 0 keeps them on a server that can act as others.
class WithoutAdministration {
 public:
  explicit WithoutAdministration(const Identity& caller);
  ~WithoutAdministration();
  WithoutAdministration(const WithoutAdministration&) = delete;
  WithoutAdministration& operator=(const WithoutAdministration&) = delete;

  // False when the kernel has refused; then nothing may be done for the caller.
  bool in_force() const { return in_force_; }

 private:
  bool in_force_ = true;
  bool dropped_ = false;
};

// Sets the umask for files that the thread creates from here on. False, with nothing changed, where
// a thread cannot have a umask of its own.
bool set_thread_umask(mode_t mask);

}  // namespace foliofs::server
