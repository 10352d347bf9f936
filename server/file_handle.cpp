#include "server/file_handle.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace foliofs::server {

namespace {

// OpenSSL fails here only without SHA-256 or out of memory; no handle can be trusted then.
template <class T>
T require(T value) {
  if (!value) std::abort();
  return value;
}

}  // namespace

HandleSigner::MacContext HandleSigner::keyed(std::span<const std::uint8_t> key) {
  EVP_MAC* algorithm = require(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  MacContext context(require(EVP_MAC_CTX_new(algorithm)));
  EVP_MAC_free(algorithm);
  std::string digest = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  require(EVP_MAC_init(context.get(), key.data(), key.size(), params));
  return context;
}

std::array<std::uint8_t, 32> HandleSigner::full_mac(const MacContext& keyed, HandleView bytes) {
  MacContext context(require(EVP_MAC_CTX_dup(keyed.get())));
  std::array<std::uint8_t, 32> mac{};
  std::size_t length = 0;
  require(EVP_MAC_update(context.get(), bytes.data(), bytes.size()));
  require(EVP_MAC_final(context.get(), mac.data(), &length, mac.size()));
  return mac;
}

HandleSigner::HandleSigner(std::span<const std::uint8_t> secret, std::string_view purpose)
    : keyed_(keyed(full_mac(keyed(secret), {reinterpret_cast<const std::uint8_t*>(purpose.data()),
                                            purpose.size()}))) {}

HandleSigner::Mac HandleSigner::mac(HandleView body) const {
  const auto full = full_mac(keyed_, body);
  Mac truncated;
  std::copy_n(full.begin(), truncated.size(), truncated.begin());
  return truncated;
}

Handle HandleSigner::seal(HandleView body) const {
  Handle handle(body.begin(), body.end());
  const Mac signature = mac(body);
  handle.insert(handle.end(), signature.begin(), signature.end());
  return handle;
}

Result<HandleView> HandleSigner::unseal(HandleView handle) const {
  if (handle.size() <= kMacBytes || handle.size() > kMaxHandleBytes) return Errno(ESTALE);
  const HandleView body = handle.first(handle.size() - kMacBytes);
  const Mac expected = mac(body);
  if (CRYPTO_memcmp(expected.data(), handle.last(kMacBytes).data(), kMacBytes) != 0) {
    return Errno(ESTALE);
  }
  return body;
}

}  // namespace foliofs::server
