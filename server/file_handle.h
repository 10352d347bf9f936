// Handles as clients see them: an opaque body that names a file, and a MAC over it, so that a
// client can only use handles that this server has given out for this export.
//
// Does not know what a body means; handle_source.h does.
#pragma once

#include <openssl/evp.h>

#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "foliofs/base/limits.h"
#include "foliofs/base/result.h"

namespace foliofs::server {

using Handle = boost::container::static_vector<std::uint8_t, kMaxHandleBytes>;
using HandleView = std::span<const std::uint8_t>;

// A handle's bytes as a key, and for hashing.
inline std::string_view text_of(HandleView handle) {
  return {reinterpret_cast<const char*>(handle.data()), handle.size()};
}

inline constexpr std::size_t kMacBytes = 16;
inline constexpr std::size_t kMaxHandleBodyBytes = kMaxHandleBytes - kMacBytes;

using HandleBody = boost::container::static_vector<std::uint8_t, kMaxHandleBodyBytes>;

// Immutable after construction; used from any thread.
class HandleSigner {
 public:
  // `purpose` gives each export its own key: a handle of one export is not valid in another.
  HandleSigner(std::span<const std::uint8_t> secret, std::string_view purpose);

  // Returns the body followed by the first 16 bytes of its HMAC-SHA256.
  Handle seal(HandleView body) const;

  // Returns the body of a handle made by seal(), as a view into `handle`. ESTALE for anything else.
  Result<HandleView> unseal(HandleView handle) const;

 private:
  struct FreeMac {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeMac>;
  using Mac = std::array<std::uint8_t, kMacBytes>;

  static MacContext keyed(std::span<const std::uint8_t> key);
  static std::array<std::uint8_t, 32> full_mac(const MacContext& keyed, HandleView bytes);
  Mac mac(HandleView body) const;

  MacContext keyed_;  // immutable; copied for each MAC
};

}  // namespace foliofs::server
