// The secret that signs handles. It is kept in the state directory, so that the handles that
// clients hold stay valid when the server restarts.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace foliofs::server {

inline constexpr std::size_t kKeyBytes = 32;

struct StateKey {
  std::array<std::uint8_t, kKeyBytes> bytes{};
  // Empty when the key is kept on disk; otherwise why it is valid for this run only.
  std::string why_ephemeral;
};

// /var/lib/foliofs for root, $XDG_STATE_HOME/foliofs (~/.local/state/foliofs) for others. Empty
// when there is no home directory.
std::string default_state_dir();

// The key in `state_dir`/handle.key, which is created (mode 0600) if it does not exist. Never
// fails: if the file cannot be read or written, the key is random and `why_ephemeral` says why.
StateKey load_state_key(const std::string& state_dir);

}  // namespace foliofs::server
