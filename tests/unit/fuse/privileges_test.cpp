// The flags that foliofs reads from requests, and writes into INIT's reply, in addition to libfuse.
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/uio.h>

#include <cstring>
#include <vector>

#include "src/fuse/init_flags.h"
#include "src/fuse/kill_privileges.h"

namespace foliofs::fuse {
namespace {

template <class Body>
std::vector<char> request_of(std::uint32_t opcode, const Body& body) {
  fuse_in_header header{};
  header.opcode = opcode;
  header.unique = 7;
  std::vector<char> bytes(sizeof header + sizeof body);
  header.len = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, &body, sizeof body);
  return bytes;
}

bool kills(const std::vector<char>& request) {
  return kills_privileges(request.data(), static_cast<ssize_t>(request.size()));
}

// SEMANTICS: set-id-cleared
TEST(KillPrivileges, IsReadFromWritesAndTruncations) {
  fuse_write_in write{};
  EXPECT_FALSE(kills(request_of(FUSE_WRITE, write)));
  write.write_flags = FUSE_WRITE_CACHE;
  EXPECT_FALSE(kills(request_of(FUSE_WRITE, write)));
  write.write_flags = FUSE_WRITE_KILL_SUIDGID;
  EXPECT_TRUE(kills(request_of(FUSE_WRITE, write)));
  EXPECT_FALSE(kills(request_of(FUSE_READ, write)));

  fuse_setattr_in change{};
  change.valid = FATTR_SIZE;
  EXPECT_FALSE(kills(request_of(FUSE_SETATTR, change)));
  change.valid = FATTR_SIZE | FATTR_KILL_SUIDGID;
  EXPECT_TRUE(kills(request_of(FUSE_SETATTR, change)));
  change.valid = FATTR_UID | FATTR_KILL_SUIDGID;
  EXPECT_FALSE(kills(request_of(FUSE_SETATTR, change))) << "the server's chown does it";
}

TEST(KillPrivileges, ARequestThatIsTooShortSaysNothing) {
  fuse_write_in write{};
  write.write_flags = FUSE_WRITE_KILL_SUIDGID;
  const auto whole = request_of(FUSE_WRITE, write);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_FALSE(kills({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes)}));
  }
  EXPECT_FALSE(kills_privileges(whole.data(), -1));
}

// The flags of the reply to an INIT that offers `offered`.
std::uint32_t answered(std::uint32_t offered) {
  InitFlags flags;
  fuse_init_in init{};
  init.flags = offered;
  const auto request = request_of(FUSE_INIT, init);
  flags.saw_request(request.data(), static_cast<ssize_t>(request.size()));
  fuse_out_header header{};
  header.unique = 7;
  fuse_init_out reply{};
  const iovec parts[] = {{&header, sizeof header}, {&reply, sizeof reply}};
  flags.patch_reply(parts, 2);
  return reply.flags;
}

TEST(InitFlags, TheNewerWayOfKillingPrivilegesReplacesTheOlder) {
  EXPECT_EQ(answered(FUSE_HANDLE_KILLPRIV | FUSE_HANDLE_KILLPRIV_V2),
            static_cast<std::uint32_t>(FUSE_HANDLE_KILLPRIV_V2));
  EXPECT_EQ(answered(FUSE_HANDLE_KILLPRIV), static_cast<std::uint32_t>(FUSE_HANDLE_KILLPRIV));
  EXPECT_EQ(answered(FUSE_ASYNC_READ), 0u);
}

}  // namespace
}  // namespace foliofs::fuse
