#include "replaced_bytes.h"

#include <algorithm>
#include <cstring>

namespace foliofs::vfs {

namespace {

// The part of `range` in the page that it begins in.
ByteRange first_page(ByteRange range) {
  return range.intersect({range.begin, whole_pages({range.begin, range.begin + 1}).end});
}

}  // namespace

std::shared_ptr<const ReplacedBytes> ReplacedBytes::look(cache::Mapping& mapping, ByteRange pages,
                                                         std::uint64_t offset,
                                                         std::span<const std::byte> data) {
  const ByteRange range = ByteRange::of(offset, data.size()).intersect(pages);
  const auto written = data.subspan(range.begin - offset, range.size());
  auto replaced = std::make_shared<ReplacedBytes>();
  replaced->begin_ = range.begin;
  replaced->after_.assign(written.begin(), written.end());
  replaced->before_ = replaced->after_;
  for (ByteRange rest = range; !rest.empty();) {
    const ByteRange part = first_page(rest);
    rest.begin = part.end;
    cache::ReadResult there;
    if (!mapping.try_read(part, nullptr, there)) continue;
    std::byte* to = replaced->before_.data() + (part.begin - range.begin);
    std::memset(to, 0, part.size());  // the kernel has zeros behind the end
    for (const iovec& bytes : there.parts) {
      std::memcpy(to, bytes.iov_base, bytes.iov_len);
      to += bytes.iov_len;
    }
  }
  return replaced;
}

void ReplacedBytes::replace_in(std::uint64_t offset, std::span<std::byte> bytes) const {
  ByteRange rest =
      ByteRange::of(offset, bytes.size()).intersect(ByteRange::of(begin_, before_.size()));
  while (!rest.empty()) {
    const ByteRange part = first_page(rest);
    rest.begin = part.end;
    const auto page = bytes.subspan(part.begin - offset, part.size());
    const std::byte* before = before_.data() + (part.begin - begin_);
    const std::byte* after = after_.data() + (part.begin - begin_);
    bool has_the_write = false;
    for (std::size_t i = 0; i < page.size(); ++i) {
      has_the_write = has_the_write || (before[i] != after[i] && page[i] == after[i]);
    }
    for (std::size_t i = 0; i < page.size() && !has_the_write; ++i) {
      if (page[i] == before[i]) page[i] = after[i];
    }
  }
}

void ReplacedBytesOfFile::add(const std::shared_ptr<const ReplacedBytes>& replaced) {
  constexpr std::size_t kMost = 16;
  std::erase_if(replaced_, [](const auto& one) { return one.expired(); });
  if (replaced_.size() == kMost) return replaced_.clear();
  replaced_.push_back(replaced);
}

bool ReplacedBytesOfFile::empty() const {
  return std::all_of(replaced_.begin(), replaced_.end(),
                     [](const auto& one) { return one.expired(); });
}

void ReplacedBytesOfFile::replace_in(std::uint64_t offset, std::span<std::byte> bytes) const {
  for (const auto& weak : replaced_) {
    if (auto one = weak.lock()) one->replace_in(offset, bytes);
  }
}

}  // namespace foliofs::vfs
