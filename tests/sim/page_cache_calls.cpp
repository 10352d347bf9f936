// System calls, made of pages and requests as in the kernel.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/page_cache.h"
#include "tests/sim/page_cache_types.h"

namespace foliofs::sim {

using Edge = WaitGraph::Edge;

void PageCache::enter(const std::string& name, const vfs::Entry& entry) {
  auto file = std::make_shared<File>();
  file->name = name;
  file->node = entry.node;
  file->size = entry.attributes.size;
  file->mode = entry.attributes.mode;
  file->attributes_until = clock_.now() + entry.attribute_timeout_us;
  files_[name] = std::move(file);
}

const std::string& PageCache::name_of(const Description& description) {
  return description.file->name;
}

Task<Result<PageCache::DescriptionRef>> PageCache::open(std::string who, std::string name,
                                                        bool create) {
  FileRef file = files_.at(name);
  vfs::Call call;
  vfs::OpenedFile opened;
  const std::uint64_t version = file->attribute_version;
  if (create) {
    const Edge waits(graph_, who, core_of(*file));
    auto reply = co_await operations_->create(call, vfs::kRootNode, name, 0644, O_CREAT | O_RDWR);
    if (!reply) co_return reply.error();
    opened = reply.value().opened;
    const vfs::Entry& entry = reply.value().entry;
    co_await take_answer(who, file, version, entry.attributes, entry.attribute_timeout_us);
  } else {
    auto reply = co_await ask_open(who, file);
    if (!reply && reply.error() == Errno(ESTALE)) {
      // do_filp_open(): once more, after looking the path up again.
      auto answer = co_await ask_attributes(who, file, nullptr);
      if (!answer) co_return answer.error();
      reply = co_await ask_open(who, file);
    }
    if (!reply) co_return reply.error();
    opened = reply.value();
  }
  auto description = std::make_shared<Description>();
  description->file = file;
  description->opened = opened.file;
  std::erase_if(file->writers, [](const auto& writer) { return writer.expired(); });
  file->writers.push_back(description);
  if (!opened.keep_cache) co_await invalidate_range(who, file, ByteRange::all());
  co_return description;
}

Task<Result<vfs::OpenedFile>> PageCache::ask_open(std::string who, FileRef file) {
  const Edge waits(graph_, who, core_of(*file));
  constexpr std::size_t kThreads = 1'000'000;
  vfs::Call call;
  call.thread = static_cast<std::int32_t>(1 + std::hash<std::string>()(who) % kThreads);
  co_return co_await operations_->open(call, file->node, O_RDWR);
}

// --- Attributes ---------------------------------------------------------------------------------

Task<Result<PageCache::Stat>> PageCache::stat(std::string who, std::string name) {
  FileRef file = files_.at(name);
  if (clock_.now() < file->attributes_until) co_return Stat{file->size, file->mode & 07777};
  auto answer = co_await ask_attributes(who, file, nullptr);
  if (!answer) co_return answer.error();
  co_return Stat{answer.value().size, answer.value().mode & 07777};
}

// fuse_do_getattr().
Task<Result<PageCache::Answer>> PageCache::ask_attributes(std::string who, FileRef file,
                                                          vfs::OpenFileRef opened) {
  const std::uint64_t version = file->attribute_version;
  std::optional<vfs::Attributes> known = operations_->try_getattr(file->node, opened == nullptr);
  if (!known) {
    vfs::Call call;
    const Edge waits(graph_, who, core_of(*file));
    auto asked = co_await operations_->getattr(call, file->node, opened);
    if (!asked) co_return asked.error();
    known = asked.value();
  }
  // The program's thread handles the answer only when it runs again.
  const Duration timeout = operations_->attribute_timeout_us(file->node);
  co_await boost::asio::post(executor_, boost::asio::use_awaitable);
  co_return co_await take_answer(who, file, version, *known, timeout);
}

Task<PageCache::Answer> PageCache::take_answer(std::string who, FileRef file, std::uint64_t version,
                                               vfs::Attributes said, Duration timeout) {
  const bool latest = version == file->attribute_version;
  Answer answer{said.size, said.mode, latest && !file->size_unstable};
  if (!answer.believed) co_return answer;
  ++file->attribute_version;
  file->attributes_until = clock_.now() + timeout;
  file->mode = said.mode;
  const std::uint64_t before = std::exchange(file->size, said.size);
  if (before != said.size) co_await truncate_pages(who, file, said.size);
  co_return answer;
}

void PageCache::expire_attributes_of(File& file) {
  ++file.attribute_version;
  file.attributes_until = {};
}

// fuse_reverse_inval_inode() without pages: it waits for nothing, but takes a while.
Task<void> PageCache::expire_attributes(std::vector<vfs::KernelNode> nodes) {
  constexpr std::uint64_t kSlowUs = 2000;
  const Edge waits(graph_, "leases of " + name_, "expiry of attributes at " + name_);
  for (const vfs::KernelNode& node : nodes) {
    const Duration delay(random_.one_in(2) ? 0 : random_.below(kSlowUs));
    co_await clock_.sleep(delay);
    if (FileRef file = find(node.id)) expire_attributes_of(*file);
  }
  co_await boost::asio::post(executor_, boost::asio::use_awaitable);
}

// --- read(2), write(2) --------------------------------------------------------------------------

Task<Result<PageCache::Bytes>> PageCache::read(std::string who, DescriptionRef description,
                                               ByteRange range) {
  FileRef file = description->file;
  const bool expired = clock_.now() >= file->attributes_until;
  Bytes bytes;
  if (range.end > file->size && expired) {
    auto answer = co_await ask_attributes(who, file, description->opened);
    bytes.size_ignored = answer && !answer.value().believed;
  }
  for (std::uint64_t at = range.begin; at < std::min(range.end, file->size);) {
    const std::uint64_t index = at / kPage;
    const std::uint64_t last = (std::min(range.end, file->size) - 1) / kPage;
    auto page = co_await read_page(who, description, index, last);
    if (!page) co_return page.error();
    const ByteRange part = page.value()->range().intersect({at, std::min(range.end, file->size)});
    if (part.empty()) break;  // the file has become shorter meanwhile
    bytes.data += page.value()->data.substr(part.begin - index * kPage, part.size());
    at = part.end;
  }
  co_return bytes;
}

Task<Status> PageCache::write_page_part(std::string who, DescriptionRef description, ByteRange part,
                                        char value) {
  FileRef file = description->file;
  PageRef page = co_await lock_page(who, file, part.begin / kPage);
  page->data.replace(part.begin - page->index * kPage, part.size(), part.size(), value);
  if (part == page->range()) page->uptodate = true;
  // A page that is not uptodate stays locked until the WRITE is answered.
  const bool locked = !page->uptodate;
  if (!locked) unlock(*page);
  // An uptodate page is not locked any more: a notification may drop it, and a READ bring it back
  // as it was, before the WRITE is sent.
  co_await boost::asio::post(executor_, boost::asio::use_awaitable);
  co_await wait_on_writeback(who, file, page);
  const std::string data(part.size(), value);
  vfs::Store store;
  store.offset = part.begin;
  store.data = std::as_bytes(std::span(data));
  auto status = co_await store_in_core(who, file, description->opened, store);
  if (status) {
    ++file->attribute_version;
    file->size = std::max(file->size, part.end);
    file->attributes_until = {};
  } else if (!page->dirty) {
    page->uptodate = false;
  }
  if (locked) unlock(*page);
  co_return status;
}

Task<Status> PageCache::write(std::string who, DescriptionRef description, ByteRange range,
                              std::function<char()> happens) {
  FileRef file = description->file;
  co_await lock_inode(who, file);
  const char value = happens();
  Status status = success();
  file->size_unstable = range.end > file->size;
  for (std::uint64_t at = range.begin; value != 0 && status && at < range.end;) {
    const ByteRange part = ByteRange::of(at / kPage * kPage, kPage).intersect({at, range.end});
    status = co_await write_page_part(who, description, part, value);
    at = part.end;
  }
  file->size_unstable = false;
  unlock_inode(*file);
  co_return status;
}

Task<Status> PageCache::send_setattr(std::string who, DescriptionRef description,
                                     vfs::AttributeChange change) {
  const File& file = *description->file;
  Status status = success();
  {
    const Edge waits(graph_, who, core_of(file));
    vfs::Call call;
    auto changed = co_await operations_->setattr(call, file.node, change, description->opened);
    if (!changed) status = changed.error();
  }
  co_await boost::asio::post(executor_, boost::asio::use_awaitable);
  co_return status;
}

// fuse_do_setattr(), here and below. The attributes in the answer expire at once.
Task<Status> PageCache::chmod(std::string who, DescriptionRef description, std::uint32_t mode) {
  FileRef file = description->file;
  co_await lock_inode(who, file);
  vfs::AttributeChange change;
  change.valid = proto::kSetMode;
  change.mode = mode;
  const Status status = co_await send_setattr(who, description, change);
  if (status) expire_attributes_of(*file);
  unlock_inode(*file);
  co_return status;
}

Task<Status> PageCache::truncate(std::string who, DescriptionRef description, std::uint64_t size,
                                 std::function<void()> happens) {
  FileRef file = description->file;
  co_await lock_inode(who, file);
  happens();
  file->nowrite_for = who;
  file->size_unstable = true;
  while (file->writebacks_sent > 0) {
    const Edge waits(graph_, who, core_of(*file));
    co_await file->writeback_changed.wait();
  }
  vfs::AttributeChange change;
  change.valid = proto::kSetSize;
  change.size = size;
  const Status status = co_await send_setattr(who, description, change);
  if (status) {
    ++file->attribute_version;
    file->attributes_until = {};
    file->size = size;
  }
  file->size_unstable = false;
  file->nowrite_for.clear();
  file->writeback_changed.wake_all();
  if (status) {
    co_await truncate_pages(who, file, size);
    co_await invalidate_range(who, file, ByteRange::all());
  }
  unlock_inode(*file);
  co_return status;
}

// --- Mappings -----------------------------------------------------------------------------------

Task<Status> PageCache::store(std::string who, DescriptionRef description, ByteRange range,
                              std::function<char()> happens) {
  FileRef file = description->file;
  const std::uint64_t index = range.begin / kPage;
  for (;;) {
    if (range.end > file->size) co_return Errno(EFAULT);
    auto found = file->pages.find(index);
    if (found != file->pages.end() && found->second->writable) {
      found->second->data.replace(range.begin - index * kPage, range.size(), range.size(),
                                  happens());
      co_return success();
    }
    auto page = co_await read_page(who, description, index, index);
    if (!page) co_return page.error();
    // fuse_page_mkwrite().
    PageRef locked = co_await lock_page(who, file, index);
    co_await wait_on_writeback(who, file, locked);
    if (cached(*file, locked) && locked->uptodate && range.end <= file->size) {
      locked->dirty = locked->writable = true;
      locked->dirtied_at =
          reference_.page_dirtied(client_, file->name, {locked->range().begin, locked->data});
    }
    unlock(*locked);
  }
}

Task<Result<PageCache::Bytes>> PageCache::load(std::string who, DescriptionRef description,
                                               ByteRange range) {
  FileRef file = description->file;
  if (range.end > file->size) co_return Errno(EFAULT);
  const std::uint64_t index = range.begin / kPage;
  auto page = co_await read_page(who, description, index, index);
  if (!page) co_return page.error();
  Bytes bytes;
  bytes.data = page.value()->data.substr(range.begin - index * kPage, range.size());
  co_return bytes;
}

// --- fsync(2), close(2), munmap(2) --------------------------------------------------------------

Task<Status> PageCache::fsync(std::string who, DescriptionRef description) {
  FileRef file = description->file;
  co_await write_and_wait(who, file);
  if (auto status = take_error(*file); !status) co_return status;
  const Edge waits(graph_, who, core_of(*file));
  co_return co_await operations_->fsync(description->opened, false);
}

Task<Status> PageCache::close(std::string who, DescriptionRef description) {
  FileRef file = description->file;
  co_await write_and_wait(who, file);
  Status status = take_error(*file);
  if (status && !operations_->try_flush(description->opened.get())) {
    const Edge waits(graph_, who, core_of(*file));
    status = co_await operations_->flush(description->opened);
  }
  drop_reference(description);
  co_return status;
}

Task<void> PageCache::unmap(std::string who, DescriptionRef description) {
  co_await write_and_wait(who, description->file);
  drop_reference(description);
}

void PageCache::drop_reference(const DescriptionRef& description) {
  if (--description->references > 0) return;
  ++releases;
  spawn(executor_, "release", release(description));
}

Task<void> PageCache::release(DescriptionRef description) {
  FileRef file = description->file;
  // A RELEASE need not write pages that are dirty through a mapping of another open file.
  const Moment since = dirty(file->name).empty() ? reference_.now() : 0;
  {
    const Edge waits(graph_, fmt::format("RELEASE of {} at {}", file->name, name_), core_of(*file));
    vfs::OpenFile* opened = description->opened.get();
    co_await operations_->release(opened);
  }
  --releases;
  on_released(file->name, since);
}

// --- Notifications ------------------------------------------------------------------------------

PageCache::FileRef PageCache::find(std::uint64_t node) const {
  for (const auto& [name, file] : files_) {
    if (file->node == node) return file;
  }
  return nullptr;
}

Task<void> PageCache::invalidate_pages(std::uint64_t node, ByteRange range) {
  std::shared_ptr<Notification> notification;
  for (const auto& queued : notifications_) {
    if (queued->node == node && !queued->last) notification = queued;
  }
  if (notification) {
    notification->range.begin = std::min(notification->range.begin, range.begin);
    notification->range.end = std::max(notification->range.end, range.end);
  } else {
    notification = std::make_shared<Notification>();
    notification->node = node;
    notification->range = range;
    notifications_.push_back(notification);
  }
  co_await wait_for(notification);
}

Task<void> PageCache::extend(std::uint64_t node, std::uint64_t size, std::byte last) {
  auto notification = std::make_shared<Notification>();
  notification->node = node;
  notification->range = {size - 1, size};
  notification->last = last;
  notifications_.push_back(notification);
  co_await wait_for(notification);
}

Task<void> PageCache::wait_for(std::shared_ptr<Notification> notification) {
  notified_.wake_all();
  FileRef file = find(notification->node);
  const Edge waits(graph_, file ? core_of(*file) : "core of " + name_, notifier());
  while (!notification->done) co_await notification->waiters.wait();
}

Task<void> PageCache::run_notifier() {
  for (;;) {
    while (notifications_.empty() && !stopping_) co_await notified_.wait();
    if (notifications_.empty()) co_return;
    auto notification = notifications_.front();
    notifications_.erase(notifications_.begin());
    co_await send(notification);
    notification->done = true;
    notification->waiters.wake_all();
  }
}

void PageCache::stop() {
  stopping_ = true;
  notified_.wake_all();
}

Task<void> PageCache::send(std::shared_ptr<Notification> notification) {
  FileRef file = find(notification->node);
  if (!file) co_return;
  if (notification->last) {
    co_await store_last(notifier(), file, notification->range.end, *notification->last);
    co_return;
  }
  // fuse_reverse_inval_inode(): answers that are still on their way are too old after this.
  expire_attributes_of(*file);
  co_await invalidate_range(notifier(), file, notification->range);
}

// fuse_notify_store() of one byte.
Task<void> PageCache::store_last(std::string who, FileRef file, std::uint64_t size,
                                 std::byte last) {
  if (size > file->size) {
    expire_attributes_of(*file);
    file->size = size;
  }
  PageRef page = co_await lock_page(who, file, (size - 1) / kPage);
  page->data[(size - 1) % kPage] = static_cast<char>(last);
  unlock(*page);
}

}  // namespace foliofs::sim
