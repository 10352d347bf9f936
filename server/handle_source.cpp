#include "server/handle_source.h"

#include <fcntl.h>

#include <atomic>
#include <cstring>

#include "server/kernel_handle.h"
#include "server/random.h"

namespace foliofs::server {

namespace {

// Distinguishes the bodies of the two kinds.
constexpr std::uint8_t kKernelBody = 1;
constexpr std::uint8_t kDescriptorBody = 2;

int stale() {
  errno = ESTALE;
  return -1;
}

class KernelHandles final : public HandleSource {
 public:
  explicit KernelHandles(int root) : root_(root) {}

  Result<HandleBody> identify(int fd) override {
    BOOST_OUTCOME_TRY(const KernelHandle kernel, kernel_handle_of(fd));
    HandleBody body{kKernelBody};
    const std::int32_t type = kernel.handle.handle_type;
    const auto* type_bytes = reinterpret_cast<const std::uint8_t*>(&type);
    body.insert(body.end(), type_bytes, type_bytes + sizeof type);
    body.insert(body.end(), kernel.handle.f_handle,
                kernel.handle.f_handle + kernel.handle.handle_bytes);
    return body;
  }

  int open(HandleView body) override {
    std::int32_t type = 0;
    if (body.size() <= 1 + sizeof type || body[0] != kKernelBody) return stale();
    std::memcpy(&type, body.data() + 1, sizeof type);
    const HandleView bytes = body.subspan(1 + sizeof type);
    if (bytes.size() > MAX_HANDLE_SZ) return stale();
    KernelHandle kernel{};
    kernel.handle.handle_type = type;
    kernel.handle.handle_bytes = static_cast<unsigned>(bytes.size());
    std::memcpy(kernel.handle.f_handle, bytes.data(), bytes.size());
    return open_by_kernel_handle(root_, kernel, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  }

  bool can_reopen() const override { return true; }

 private:
  const int root_;
};

class DescriptorHandles final : public HandleSource {
 public:
  Result<HandleBody> identify(int) override {
    const Numbers numbers{instance_, next_.fetch_add(1)};
    HandleBody body{kDescriptorBody};
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&numbers);
    body.insert(body.end(), bytes, bytes + sizeof numbers);
    return body;
  }

  int open(HandleView) override { return stale(); }
  bool can_reopen() const override { return false; }

 private:
  struct Numbers {
    std::uint64_t instance;  // of this run: the numbers of another run mean nothing
    std::uint64_t number;
  };
  const std::uint64_t instance_ = random_value<std::uint64_t>();
  std::atomic<std::uint64_t> next_{1};
};

}  // namespace

Result<std::unique_ptr<HandleSource>> make_kernel_handles(int root) {
  std::unique_ptr<HandleSource> source = std::make_unique<KernelHandles>(root);
  BOOST_OUTCOME_TRY(auto body, source->identify(root));
  const UniqueFd again(source->open(body));
  if (!again) return last_errno();
  return source;
}

std::unique_ptr<HandleSource> make_descriptor_handles() {
  return std::make_unique<DescriptorHandles>();
}

}  // namespace foliofs::server
