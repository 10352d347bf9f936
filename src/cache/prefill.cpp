// Bytes that come with the reply to an OPEN: a fill that the caller fetches, not the mapping.
#include "folio_mapping.h"

namespace foliofs::cache {

class FolioMapping::ArrivingBytes final : public Prefill {
 public:
  ArrivingBytes(std::shared_ptr<FolioMapping> mapping, std::vector<BufferRef> buffers,
                std::vector<iovec> into, ByteRange range)
      : mapping_(std::move(mapping)),
        fill_(mapping_->begin_fill(range, /*ahead=*/true)),
        buffers_(std::move(buffers)),
        into_(std::move(into)) {}

  ~ArrivingBytes() override {
    if (fill_->done) return;
    fill_->error = Errno(ECANCELED);
    mapping_->end_fill(fill_, buffers_);
  }

  std::uint64_t bytes() const override { return fill_->range.size(); }
  std::span<const iovec> into() const override { return into_; }

  void arrived(std::uint64_t bytes) override {
    // Fewer bytes do not imply the end of the file: the server may have failed to read the rest. So
    // the missing ones are not filled with zeros.
    fill_->range = fill_->range.intersect({0, bytes});
    mapping_->end_fill(fill_, buffers_);
  }

 private:
  const std::shared_ptr<FolioMapping> mapping_;
  const std::shared_ptr<Fill> fill_;
  const std::vector<BufferRef> buffers_;
  const std::vector<iovec> into_;
};

std::unique_ptr<Prefill> FolioMapping::try_prefill(std::uint64_t bytes) {
  const ByteRange range = ByteRange{0, bytes}.intersect({0, size_});
  if (range.empty() || !folios_.empty() || !fills_.empty()) return nullptr;
  const std::uint64_t needed = bytes + core_->config.folio_size;
  if (!core_->try_reserve(needed, CacheCore::Want::kReadahead)) return nullptr;
  std::vector<BufferRef> buffers;
  std::vector<iovec> into;
  if (!allocate(range, buffers, into)) return nullptr;
  return std::make_unique<ArrivingBytes>(shared_from_this(), std::move(buffers), std::move(into),
                                         range);
}

}  // namespace foliofs::cache
