// A file byte by byte, at any offset below 2^63, and a reference that knows for each byte what the
// server has, what was stored here and whether it must be sent. It has no folios and no ranges, so
// it is simple enough to be right.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "foliofs/base/byte_range.h"
#include "foliofs/cache/folio_store.h"

namespace foliofs::test {

// Bytes that are zero unless they were set.
class SparseBytes {
 public:
  std::string read(ByteRange range) const {
    std::string text;
    for (std::uint64_t at = range.begin; at < range.end; at = end_of(at, range)) {
      auto block = blocks_.find(at / kBlock);
      const std::uint64_t bytes = end_of(at, range) - at;
      text += block == blocks_.end() ? std::string(bytes, '\0')
                                     : block->second.substr(at % kBlock, bytes);
    }
    return text;
  }
  void write(std::uint64_t offset, std::string_view text) {
    const ByteRange range{offset, offset + text.size()};
    for (std::uint64_t at = range.begin; at < range.end; at = end_of(at, range)) {
      auto& block = blocks_.try_emplace(at / kBlock, kBlock, '\0').first->second;
      const std::uint64_t bytes = end_of(at, range) - at;
      block.replace(at % kBlock, bytes, text.substr(at - offset, bytes));
    }
  }
  void cut(std::uint64_t size) {
    blocks_.erase(blocks_.lower_bound((size + kBlock - 1) / kBlock), blocks_.end());
    auto last = blocks_.find(size / kBlock);
    if (last == blocks_.end()) return;
    last->second.resize(size % kBlock);
    last->second.resize(kBlock, '\0');
  }
  void clear() { blocks_.clear(); }

  // Copies the bytes of `from` wherever `where` is not zero.
  void take(const SparseBytes& from, const SparseBytes& where) {
    for (const auto& [index, marks] : where.blocks_) {
      const std::string bytes = from.read({index * kBlock, (index + 1) * kBlock});
      auto& block = blocks_.try_emplace(index, kBlock, '\0').first->second;
      for (std::size_t i = 0; i < kBlock; ++i) {
        if (marks[i] != 0) block[i] = bytes[i];
      }
    }
  }
  friend bool operator==(const SparseBytes& a, const SparseBytes& b) {
    return a.contained_in(b) && b.contained_in(a);
  }

 private:
  static constexpr std::uint64_t kBlock = 4096;
  static std::uint64_t end_of(std::uint64_t at, ByteRange range) {
    return std::min(range.end, (at / kBlock + 1) * kBlock);
  }
  bool contained_in(const SparseBytes& other) const {
    static const std::string kZeros(kBlock, '\0');
    return std::all_of(blocks_.begin(), blocks_.end(), [&](const auto& block) {
      auto found = other.blocks_.find(block.first);
      return block.second == (found == other.blocks_.end() ? kZeros : found->second);
    });
  }
  std::map<std::uint64_t, std::string> blocks_;
};

// The server's file. `sent` counts how often each byte was sent.
class SparseStore final : public cache::FolioStore {
 public:
  SparseBytes bytes;
  std::uint64_t size = 0;
  SparseBytes sent;

  Task<Result<std::uint64_t>> read(std::uint64_t offset, std::span<const iovec> into) override {
    std::uint64_t done = 0;
    for (const iovec& part : into) {
      const ByteRange range = ByteRange{offset + done, offset + done + part.iov_len};
      const std::string text = bytes.read(range.intersect({0, size}));
      std::copy(text.begin(), text.end(), static_cast<char*>(part.iov_base));
      done += text.size();
    }
    co_return done;
  }
  Task<Status> write(cache::StoreWrite write) override {
    std::string payload;
    for (const iovec& part : write.from) {
      payload.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    for (ByteRange range : write.ranges) {
      bytes.write(range.begin, payload.substr(0, range.size()));
      payload.erase(0, range.size());
      std::string counts = sent.read(range);
      for (char& count : counts) ++count;
      sent.write(range.begin, counts);
      size = std::max(size, range.end);
    }
    co_return success();
  }
};

class ByteReference {
 public:
  SparseBytes server, here;  // `here` counts only where `dirty` is 1
  SparseBytes dirty;
  std::uint64_t size = 0;

  void store(std::uint64_t offset, const std::string& text) {
    here.write(offset, text);
    dirty.write(offset, std::string(text.size(), '\1'));
    size = std::max(size, offset + text.size());
  }
  std::string read(ByteRange range) const {
    range = range.intersect({0, size});
    std::string seen = server.read(range);
    const std::string own = here.read(range), is_own = dirty.read(range);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (is_own[i] != 0) seen[i] = own[i];
    }
    return seen;
  }
  void flushed() {
    server.take(here, dirty);
    dirty.clear();
  }
  void truncated(std::uint64_t to) {
    for (SparseBytes* bytes : {&server, &here, &dirty}) bytes->cut(to);
    size = to;
  }
};

}  // namespace foliofs::test
