// Pages: their locks, faults, writeback, and how they are dropped.
#include "tests/sim/page_cache.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tests/sim/page_cache_types.h"

namespace foliofs::sim {

using Edge = WaitGraph::Edge;

PageCache::PageCache(Executor executor, Clock& clock, Random& random, WaitGraph& graph,
                     Reference& reference, int client)
    : executor_(std::move(executor)),
      clock_(clock),
      random_(random),
      graph_(graph),
      reference_(reference),
      client_(client),
      name_(1, static_cast<char>('A' + client)) {}

std::string PageCache::page_name(const File& file, std::uint64_t index) const {
  return fmt::format("page {} of {} at {}", index, file.name, name_);
}
std::string PageCache::core_of(const File& file) const {
  return fmt::format("core of {}, {}", name_, file.name);
}
std::string PageCache::notifier() const {
  return "notifier of " + name_;
}

// --- Locks --------------------------------------------------------------------------------------

Task<PageCache::PageRef> PageCache::lock_page(std::string who, FileRef file, std::uint64_t index) {
  for (;;) {
    PageRef& slot = file->pages[index];
    if (!slot) slot = std::make_shared<Page>(index);
    PageRef page = co_await lock_cached(who, file, index);
    if (page) co_return page;
  }
}

Task<PageCache::PageRef> PageCache::lock_cached(std::string who, FileRef file,
                                                std::uint64_t index) {
  for (;;) {
    auto found = file->pages.find(index);
    if (found == file->pages.end()) co_return nullptr;
    PageRef page = found->second;
    if (!page->locked) {
      page->locked = true;
      page->owner = who;
      co_return page;
    }
    const Edge waits(graph_, who, page_name(*file, index));
    const Edge held(graph_, page_name(*file, index), page->owner);
    co_await page->changed.wait();
  }
}

void PageCache::unlock(Page& page) {
  page.locked = false;
  page.owner.clear();
  page.changed.wake_all();
}

bool PageCache::cached(const File& file, const PageRef& page) {
  auto found = file.pages.find(page->index);
  return found != file.pages.end() && found->second == page;
}

Task<void> PageCache::lock_inode(std::string who, FileRef file) {
  while (file->locked) {
    const Edge waits(graph_, who, fmt::format("inode lock of {} at {}", file->name, name_));
    const Edge held(graph_, fmt::format("inode lock of {} at {}", file->name, name_), file->owner);
    co_await file->unlocked.wait();
  }
  file->locked = true;
  file->owner = who;
}

void PageCache::unlock_inode(File& file) {
  file.locked = false;
  file.unlocked.wake_all();
}

Task<void> PageCache::wait_on_writeback(std::string who, FileRef file, PageRef page) {
  while (page->writeback) {
    const Edge waits(graph_, who, "writeback of " + page_name(*file, page->index));
    co_await page->changed.wait();
  }
}

// --- Filling ------------------------------------------------------------------------------------

Task<Result<PageCache::PageRef>> PageCache::read_page(std::string who, DescriptionRef description,
                                                      std::uint64_t index, std::uint64_t ahead) {
  FileRef file = description->file;
  auto found = file->pages.find(index);
  if (found != file->pages.end() && found->second->uptodate) co_return found->second;
  PageRef page = co_await lock_page(who, file, index);
  if (page->uptodate) {
    unlock(*page);
    co_return page;
  }
  std::vector<PageRef> pages{page};
  for (std::uint64_t next = index + 1; next <= ahead && !file->pages.contains(next); ++next) {
    PageRef more = std::make_shared<Page>(next);
    more->locked = true;
    more->owner = who;
    file->pages[next] = more;
    pages.push_back(std::move(more));
  }
  auto status = co_await fill(who, description, std::move(pages));
  if (!status) co_return status.error();
  co_return page;
}

// READs into consecutive locked pages, and unlocks them.
Task<Status> PageCache::fill(std::string who, DescriptionRef description,
                             std::vector<PageRef> pages) {
  FileRef file = description->file;
  const std::uint64_t offset = pages.front()->index * kPage;
  const std::uint64_t length = pages.size() * kPage;
  const std::uint64_t version = file->attribute_version;
  cache::ReadResult result;
  std::optional<Errno> error;
  if (!operations_->try_read(description->opened.get(), offset, length, result)) {
    const Edge waits(graph_, who, core_of(*file));
    auto read = co_await operations_->read(description->opened, offset, length);
    if (read) result = std::move(read.value());
    if (!read) error = read.error();
  }
  std::string bytes;
  for (const iovec& part : result.parts) {
    bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
  }
  // fuse_short_read(): the file ends earlier than the kernel thought.
  const bool is_short = !error && bytes.size() < length;
  if (is_short && version == file->attribute_version) {
    file->size = std::min(file->size, offset + bytes.size());
  }
  bytes.resize(length, '\0');
  for (const PageRef& page : pages) {
    if (!error) {
      page->data = bytes.substr(page->index * kPage - offset, kPage);
      page->uptodate = true;
    }
    unlock(*page);
  }
  if (error) co_return *error;
  co_return success();
}

// --- Writing back -------------------------------------------------------------------------------

Task<Status> PageCache::store_in_core(std::string who, FileRef file, vfs::OpenFileRef opened,
                                      vfs::Store store) {
  if (operations_->try_write(opened.get(), store)) co_return success();
  vfs::Call call;
  const Edge waits(graph_, who, core_of(*file));
  co_return co_await operations_->write(call, opened, store);
}

Task<void> PageCache::write_back(FileRef file, PageRef page, bool keep_locked) {
  page->dirty = page->writable = false;
  page->writeback = true;
  const std::string data = page->data;
  const std::string self = "writeback of " + page_name(*file, page->index);
  if (!keep_locked) unlock(*page);
  while (!file->nowrite_for.empty()) {
    const Edge waits(graph_, self, file->nowrite_for);
    co_await file->writeback_changed.wait();
  }
  vfs::OpenFileRef opened;
  for (const auto& weak : file->writers) {
    if (auto writer = weak.lock(); writer && !opened) opened = writer->opened;
  }
  const ByteRange range = page->range().intersect({0, file->size});
  ++file->writebacks_sent;
  Status status = success();
  if (!opened) status = Errno(EIO);
  if (opened && !range.empty()) {
    reference_.page_sent(client_, file->name, {range.begin, data.substr(0, range.size())},
                         page->dirtied_at);
    vfs::Store store;
    store.offset = range.begin;
    store.data = std::as_bytes(std::span(data).first(range.size()));
    store.source = cache::WriteSource::kPageWriteback;
    status = co_await store_in_core(self, file, opened, store);
  }
  --file->writebacks_sent;
  file->writeback_changed.wake_all();
  if (!status) {
    file->error = status.error();
    ++file->errors;
  }
  page->writeback = false;
  page->changed.wake_all();
}

Task<void> PageCache::write_and_wait(std::string who, FileRef file) {
  std::vector<std::uint64_t> indexes;
  for (const auto& [index, page] : file->pages) indexes.push_back(index);
  for (std::uint64_t index : indexes) {
    PageRef page = co_await lock_cached(who, file, index);
    if (!page) continue;
    co_await wait_on_writeback(who, file, page);
    if (page->dirty) {
      const Edge waits(graph_, who, "writeback of " + page_name(*file, index));
      co_await write_back(file, page, /*keep_locked=*/false);
    } else {
      unlock(*page);
    }
  }
}

Status PageCache::take_error(File& file) {
  auto error = std::exchange(file.error, std::nullopt);
  if (error) return *error;
  return success();
}

// --- Dropping -----------------------------------------------------------------------------------

// invalidate_inode_pages2_range().
Task<void> PageCache::invalidate_range(std::string who, FileRef file, ByteRange range) {
  std::vector<std::uint64_t> indexes;
  for (const auto& [index, page] : file->pages) {
    if (page->range().overlaps(range)) indexes.push_back(index);
  }
  for (std::uint64_t index : indexes) {
    PageRef page = co_await lock_cached(who, file, index);
    if (!page) continue;
    co_await wait_on_writeback(who, file, page);
    if (page->dirty) {
      const Edge waits(graph_, who, "writeback of " + page_name(*file, index));
      co_await write_back(file, page, /*keep_locked=*/true);
    }
    if (cached(*file, page)) file->pages.erase(index);
    unlock(*page);
  }
}

// truncate_pagecache(): drops pages beyond `size`, dirty or not, and clears the tail of the last
// one. Stops when a write(2) beyond the end begins meanwhile. In Linux it would clear what that
// write has stored, but there it takes only a few instructions and waits for no page.
Task<void> PageCache::truncate_pages(std::string who, FileRef file, std::uint64_t size) {
  std::vector<std::uint64_t> indexes;
  for (const auto& [index, page] : file->pages) {
    if (page->range().end > size) indexes.push_back(index);
  }
  for (std::uint64_t index : indexes) {
    PageRef page = co_await lock_cached(who, file, index);
    if (!page) continue;
    co_await wait_on_writeback(who, file, page);
    if (file->size_unstable) {
      unlock(*page);
      co_return;
    }
    const std::uint64_t keep = size > index * kPage ? size - index * kPage : 0;
    if (keep == 0) {
      page->dirty = page->writable = false;
      if (cached(*file, page)) file->pages.erase(index);
    } else if (keep < kPage) {
      std::fill(page->data.begin() + static_cast<std::ptrdiff_t>(keep), page->data.end(), '\0');
    }
    unlock(*page);
  }
}

std::uint32_t PageCache::page_errors(const std::string& name) const {
  return files_.at(name)->errors;
}

std::vector<Reference::Piece> PageCache::dirty(const std::string& name) const {
  std::vector<Reference::Piece> pieces;
  auto found = files_.find(name);
  if (found == files_.end()) return pieces;
  for (const auto& [index, page] : found->second->pages) {
    const ByteRange range = page->range().intersect({0, found->second->size});
    if (!page->dirty && !page->writeback) continue;
    pieces.push_back({page->range().begin, page->data.substr(0, range.size())});
  }
  return pieces;
}

}  // namespace foliofs::sim
