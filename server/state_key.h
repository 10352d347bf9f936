// The secret that handles are signed with, kept in the state directory so that the handles that
// clients hold stay good when the server is restarted.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace foliofs::server {

inline constexpr std::size_t kKeyBytes = 32;

struct StateKey {
  std::array<std::uint8_t, kKeyBytes> bytes{};
  // Empty when the key is kept on disk; otherwise why it is good for this run only.
  std::string why_ephemeral;
};

// /var/lib/foliofs for root, $XDG_STATE_HOME/foliofs (~/.local/state/foliofs) for others. Empty
// when there is no home.
std::string default_state_dir();

// The key in `state_dir`/handle.key, made (mode 0600) if it is not there. Never fails: where the
// file cannot be read or written the key is random and `why_ephemeral` says why.
StateKey load_state_key(const std::string& state_dir);

}  // namespace foliofs::server
