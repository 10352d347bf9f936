#include "replaced_bytes.h"

#include <algorithm>

namespace foliofs::vfs {

std::shared_ptr<const ReplacedBytes> ReplacedBytes::look(cache::Mapping& mapping, ByteRange pages,
                                                         std::uint64_t offset,
                                                         std::span<const std::byte> data) {
  const ByteRange range = ByteRange::of(offset, data.size()).intersect(pages);
  cache::ReadResult there;
  if (range.empty() || !mapping.try_read(range, nullptr, there)) return nullptr;
  auto replaced = std::make_shared<ReplacedBytes>();
  replaced->begin_ = range.begin;
  for (const iovec& part : there.parts) {
    const auto* bytes = static_cast<const std::byte*>(part.iov_base);
    replaced->before_.insert(replaced->before_.end(), bytes, bytes + part.iov_len);
  }
  replaced->before_.resize(range.size());  // the kernel has zeros behind the end
  const auto written = data.subspan(range.begin - offset, range.size());
  replaced->after_.assign(written.begin(), written.end());
  return replaced;
}

void ReplacedBytes::replace_in(std::uint64_t offset, std::span<std::byte> page) const {
  const ByteRange common =
      ByteRange::of(offset, page.size()).intersect(ByteRange::of(begin_, before_.size()));
  for (std::uint64_t at = common.begin; at < common.end; ++at) {
    if (page[at - offset] == before_[at - begin_]) page[at - offset] = after_[at - begin_];
  }
}

void ReplacedBytesOfFile::add(const std::shared_ptr<const ReplacedBytes>& replaced) {
  constexpr std::size_t kMost = 16;
  std::erase_if(replaced_, [](const auto& one) { return one.expired(); });
  if (replaced && replaced_.size() < kMost) replaced_.push_back(replaced);
}

bool ReplacedBytesOfFile::empty() const {
  return std::all_of(replaced_.begin(), replaced_.end(),
                     [](const auto& one) { return one.expired(); });
}

void ReplacedBytesOfFile::replace_in(std::uint64_t offset, std::span<std::byte> page) const {
  for (const auto& weak : replaced_) {
    if (auto one = weak.lock()) one->replace_in(offset, page);
  }
}

}  // namespace foliofs::vfs
