// Folios in a mapping: finding, creating, dropping and trimming them; the size of the file.
#include "folio_mapping.h"

#include <cassert>

namespace foliofs::cache {

static_assert(sizeof(FolioMapping) <= kMappingBytes);

FolioMapping::FolioMapping(std::shared_ptr<CacheCore> core, std::shared_ptr<FolioStore> store,
                           std::shared_ptr<KernelPages> kernel_pages, std::uint64_t size)
    : core_(std::move(core)),
      store_(std::move(store)),
      kernel_pages_(std::move(kernel_pages)),
      size_(size) {
  ++core_->mapping_count;
}

FolioMapping::~FolioMapping() {
  assert(writes_pending_ == 0);
  while (!folios_.empty()) erase(*folios_.begin());
  --core_->mapping_count;
}

Task<void> FolioMapping::reach(FaultPoint point) {
  if (core_->faults != nullptr) co_await core_->faults->reach(point);
}

ByteRange FolioMapping::folio_range(std::uint64_t offset) const {
  const std::uint64_t folio_size = core_->config.folio_size;
  const std::uint64_t begin = offset / folio_size * folio_size;
  return {begin, begin + folio_size};
}

Folio* FolioMapping::find(std::uint64_t offset) {
  auto found = folios_.find(folio_range(offset).begin);
  return found == folios_.end() ? nullptr : &*found;
}

FolioRef FolioMapping::find_or_create(std::uint64_t offset) {
  if (Folio* folio = find(offset)) return folio;
  FolioRef folio(new Folio(folio_range(offset)));
  folio->mapping = this;
  folio->fill_gen = gen_;
  folios_.insert(*folio);
  intrusive_ptr_add_ref(folio.get());  // the mapping's own reference
  core_->folio_added(*folio);
  return folio;
}

FolioRef FolioMapping::folio_from(std::uint64_t offset) {
  auto found = folios_.lower_bound(folio_range(offset).begin);
  return found == folios_.end() ? nullptr : FolioRef(&*found);
}

FolioRef FolioMapping::unclean_from(std::uint64_t offset) {
  auto found = unclean_.lower_bound(folio_range(offset).begin);
  return found == unclean_.end() ? nullptr : FolioRef(&*found);
}

void FolioMapping::overtake_fills(const RangeSet& bytes) {
  for (const auto& fill : fills_) fill->overtaken.add(bytes);
}

void FolioMapping::overtake_fills(ByteRange bytes) {
  RangeSet set;
  set.add(bytes);
  overtake_fills(set);
}

void FolioMapping::erase(Folio& folio) {
  if (folio.FolioInUnclean::is_linked()) unclean_.erase(unclean_.iterator_to(folio));
  set_failed(folio, false);
  account_dirty(unclean_bytes(folio), 0);
  core_->folio_removed(folio);
  folios_.erase(folios_.iterator_to(folio));
  folio.mapping = nullptr;
  intrusive_ptr_release(&folio);
}

std::uint64_t FolioMapping::unclean_bytes(const Folio& folio) {
  return folio.dirty.size() + folio.writing.size();
}

void FolioMapping::settle(Folio& folio, std::uint64_t before) {
  if (folio.clean() && folio.FolioInUnclean::is_linked()) {
    unclean_.erase(unclean_.iterator_to(folio));
    core_->folio_cleaned(folio);
    set_failed(folio, false);
  } else if (!folio.clean() && !folio.FolioInUnclean::is_linked()) {
    unclean_.insert(folio);
    core_->folio_dirtied(folio);
  }
  account_dirty(before, unclean_bytes(folio));
}

void FolioMapping::set_failed(Folio& folio, bool failed_now) {
  if (folio.failed == failed_now) return;
  folio.failed = failed_now;
  failed_now ? ++failed_folios_ : --failed_folios_;
  if (failed && failed_folios_ == 0) core_->mapping_recovered(*this);
}

void FolioMapping::account_dirty(std::uint64_t before, std::uint64_t after) {
  const auto change = static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before);
  if (change == 0) return;
  dirty_bytes_ += static_cast<std::uint64_t>(change);
  core_->add_dirty(*this, change);
}

bool FolioMapping::try_drop(Folio& folio) {
  if (folio.mapping != this) return true;
  if (!folio.clean() || folio.under_writeback()) {
    folio.enter_generation(gen_);
    folio.forget_clean_bytes();
    return false;
  }
  assert(folio.dseq == folio.wseq);  // I2
  erase(folio);
  return true;
}

void FolioMapping::reclaim(Folio& folio) {
  assert(folio.clean() && !folio.locked);
  erase(folio);
}

std::uint64_t FolioMapping::cached_bytes() const {
  std::uint64_t bytes = 0;
  for (const Folio& folio : folios_) bytes += folio.buffer ? folio.buffer->capacity() : 0;
  return bytes;
}

std::uint64_t FolioMapping::dirty_end() const {
  if (unclean_.empty()) return 0;
  const Folio& last = *unclean_.rbegin();
  const std::uint64_t dirty = last.dirty.empty() ? 0 : last.dirty.back().end;
  return last.writing.empty() ? dirty : std::max(dirty, last.writing.back().end);
}

std::uint64_t FolioMapping::folios_end() const {
  return folios_.empty() ? 0 : folios_.rbegin()->range.end;
}

bool FolioMapping::set_server_size(std::uint64_t size) {
  size = std::max(size, dirty_end());
  if (changing_ && size < size_) return false;
  if (size < size_) {
    trim({size, ByteRange::kNoEnd}, /*dirty_too=*/false);
    ++trunc_epoch_;
  }
  size_ = size;
  return true;
}

void FolioMapping::trim(ByteRange range, bool dirty_too) {
  FolioRef next;
  for (FolioRef folio = folio_from(range.begin); folio && folio->range.begin < range.end;
       folio = next) {
    next = folio_from(folio->range.end);
    if (dirty_too) {
      const std::uint64_t before = unclean_bytes(*folio);
      folio->dirty.subtract(range);
      if (folio->clean()) folio->wseq = folio->dseq;
      settle(*folio, before);
    }
    folio->valid.subtract(range);
    folio->valid.add(folio->dirty);
    folio->valid.add(folio->writing);
    if (folio->valid.empty() && !folio->under_writeback() && !folio->locked) erase(*folio);
  }
}

std::uint64_t FolioMapping::abandon() {
  const std::uint64_t lost = dirty_bytes_;
  while (!folios_.empty()) erase(*folios_.begin());
  ++trunc_epoch_;
  return lost;
}

void FolioMapping::open_writers_gate() {
  assert(writers_gate_ > 0);
  if (--writers_gate_ == 0) gate_opened_.wake_all();
}

void FolioMapping::open_fault_gate() {
  assert(fault_gate_ > 0);
  if (--fault_gate_ == 0) gate_opened_.wake_all();
}

Task<void> FolioMapping::lock_folio(Folio& folio) {
  while (folio.locked) co_await folio_unlocked_.wait();
  folio.locked = true;
}

void FolioMapping::unlock_folio(Folio& folio) {
  folio.locked = false;
  folio_unlocked_.wake_all();
}

}  // namespace foliofs::cache
