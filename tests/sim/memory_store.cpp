#include "tests/sim/memory_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace foliofs::sim {

using server::CallContext;
using server::HandleView;
using server::Name;

MemoryStore::MemoryStore(const Clock& clock, Random& random, StoreObserver& observer)
    : clock_(clock), random_(random), observer_(observer) {}

void MemoryStore::add(const std::string& name, std::string data) {
  auto file = std::make_shared<File>(kRootIno + 1 + files_.size(), name);
  file->data = std::move(data);
  file->mtime_ns = file->ctime_ns = next_time();
  files_.push_back(std::move(file));
}

void MemoryStore::restart() {
  ++run_;
  for (const auto& file : files_) file->changes = std::make_shared<server::Inode>(run_);
}

// --- Finding ------------------------------------------------------------------------------------

server::Handle MemoryStore::handle_of(std::uint64_t ino) {
  server::Handle handle(sizeof ino);
  std::memcpy(handle.data(), &ino, sizeof ino);
  return handle;
}

const MemoryStore::File& MemoryStore::find(const std::string& name) const {
  auto found =
      std::find_if(files_.begin(), files_.end(), [&](const auto& f) { return f->name == name; });
  return **found;
}

Result<std::shared_ptr<MemoryStore::File>> MemoryStore::find(HandleView handle) const {
  std::uint64_t ino = 0;
  if (handle.size() != sizeof ino) return Errno(ESTALE);
  std::memcpy(&ino, handle.data(), sizeof ino);
  if (ino == kRootIno) return Errno(EISDIR);
  const std::uint64_t index = ino - kRootIno - 1;
  if (index >= files_.size()) return Errno(ESTALE);
  return files_[index];
}

Result<server::Entry> MemoryStore::lookup(const CallContext& context, HandleView, Name name) {
  for (const auto& file : files_) {
    if (file->name != name.c_str()) continue;
    BOOST_OUTCOME_TRYV(may_look_at(context, *file));
    server::Entry entry;
    entry.handle = handle_of(file->ino);
    entry.attributes = attributes_of(context, *file);
    entry.parent = root_attributes();
    return entry;
  }
  return Errno(ENOENT);
}

// --- Attributes ---------------------------------------------------------------------------------

server::ChangeStamp MemoryStore::stamp_of(const File& file) {
  return {file.ctime_ns, file.mtime_ns, file.data.size()};
}

// Later than every time before, as in a filesystem with fine timestamps.
std::int64_t MemoryStore::next_time() {
  last_time_ = std::max(last_time_ + 1, clock_.wall_ns());
  return last_time_;
}

wire::Attributes MemoryStore::describe(const File& file, server::ChangeCounts counts,
                                       std::uint32_t flags) {
  return wire::Attributes(file.ino, file.data.size(), (file.data.size() + 511) / 512, 0,
                          file.atime_ns, file.mtime_ns, file.ctime_ns, 0, counts.foreign,
                          counts.epoch, S_IFREG | file.mode, 1, 0, 0, 4096, flags);
}

// As in LocalStore, the lease is given before the file is looked at.
wire::Attributes MemoryStore::attributes_of(const CallContext& context, const File& file) {
  const server::Handle handle = handle_of(file.ino);
  const bool leased = context.holder != nullptr &&
                      file.changes->lease_to(*context.holder, {handle.data(), handle.size()});
  auto look = [&] {
    return stamp_of(file);
  };
  return describe(file, file.changes->observe(context.session, stamp_of(file), look),
                  leased ? std::uint32_t{proto::kLeased} : 0);
}

// As in ChangeScope::finish().
wire::Attributes MemoryStore::end_change(const CallContext& context, const File& file,
                                         bool changed) {
  std::vector<server::LostLease> lost;
  auto look = [&] {
    return stamp_of(file);
  };
  const auto counts = file.changes->end_change(context.session, changed, look, lost);
  if (context.recalls != nullptr && !lost.empty()) {
    context.recalls->add(file.changes, file.changes->leased_handle(), lost, {});
  }
  const bool leased = context.holder != nullptr && file.changes->is_leased_to(*context.holder);
  return describe(file, counts, leased ? std::uint32_t{proto::kLeased} : 0);
}

wire::Attributes MemoryStore::root_attributes() const {
  return wire::Attributes(kRootIno, 4096, 8, 0, 0, 0, 0, 0, 0, 1, S_IFDIR | 0755, 2, 1000, 1000,
                          4096, 0);
}

Result<wire::Attributes> MemoryStore::attributes(const CallContext& context, HandleView handle) {
  auto file = find(handle);
  if (file) {
    BOOST_OUTCOME_TRYV(may_look_at(context, *file.value()));
    return attributes_of(context, *file.value());
  }
  if (file.error() == Errno(EISDIR)) return root_attributes();
  return file.error();
}

Result<wire::Attributes> MemoryStore::attributes(const CallContext& context,
                                                 server::OpenFile& file) {
  return attributes_of(context, file_of(file));
}

Result<wire::Attributes> MemoryStore::set_attributes(const CallContext& context, HandleView handle,
                                                     server::OpenFile*,
                                                     const server::AttributeChanges& changes) {
  BOOST_OUTCOME_TRY(auto file, find(handle));
  BOOST_OUTCOME_TRYV(may_look_at(context, *file));
  if (auto error = failure(*file, Failing::kChanges)) return *error;
  auto look = [&] {
    return stamp_of(*file);
  };
  file->changes->begin_change(look);
  const server::Handle own = handle_of(file->ino);
  if (context.holder != nullptr) {
    file->changes->lease_to(*context.holder, {own.data(), own.size()});
  }
  if ((changes.valid & proto::kSetMode) != 0) file->mode = changes.mode & 07777;
  if ((changes.valid & proto::kSetSize) != 0) resize(*file, changes.size);
  file->ctime_ns = next_time();
  if ((changes.valid & proto::kSetSize) != 0) file->mtime_ns = file->ctime_ns;
  if ((changes.valid & proto::kSetMtime) != 0) file->mtime_ns = changes.mtime_ns;
  return end_change(context, *file, true);
}

void MemoryStore::resize(File& file, std::uint64_t size) {
  file.data.resize(size, '\0');
  observer_.resized(file.name, size);
}

// --- Files --------------------------------------------------------------------------------------

Result<server::Opened> MemoryStore::open(const CallContext& context, HandleView handle, int flags,
                                         bool) {
  BOOST_OUTCOME_TRY(auto file, find(handle));
  BOOST_OUTCOME_TRYV(may_look_at(context, *file));
  if ((flags & O_TRUNC) != 0) return Errno(EINVAL);  // the clients send a SETATTR instead
  server::Opened opened;
  opened.attributes = attributes_of(context, *file);
  opened.handle = handle_of(file->ino);
  opened.file = std::make_shared<Open>(file);
  return opened;
}

Status MemoryStore::may_look_at(const CallContext& context, const File& file) {
  if (context.recalls == nullptr || !file.changes->is_kept_from(context.session)) return success();
  std::vector<server::LostLease> lost;
  file.changes->take_exclusive(context.session, lost);
  context.recalls->add(file.changes, file.changes->leased_handle(), lost, {});
  return server::kLeaseHeld;
}

// The files exist already. One that no session has open, or has a lease of, counts as a new one.
Result<server::Opened> MemoryStore::create(const CallContext& context, HandleView, Name name,
                                           server::CreationMode, int) {
  const File& file = find(name.c_str());
  const server::Handle handle = handle_of(file.ino);
  const bool alone = file.opens == 0;
  BOOST_OUTCOME_TRY(auto opened, open(context, {handle.data(), handle.size()}, O_RDWR, false));
  if (alone && context.holder != nullptr && file.changes->make_exclusive(*context.holder)) {
    static_cast<Open&>(*opened.file).exclusive = true;
    opened.attributes = describe(
        file,
        file.changes->observe(context.session, stamp_of(file), [&] { return stamp_of(file); }),
        proto::kLeased | proto::kExclusive);
  }
  return opened;
}

void MemoryStore::let_fail(Failing what, std::uint32_t count, int errno_value) {
  failures_[what] = {count, errno_value};
}

std::optional<Errno> MemoryStore::failure(File& file, Failing what) {
  Failures& failures = failures_[what];
  if (failures.count == 0) return std::nullopt;
  --failures.count;
  observer_.failed(file.name, what);
  return Errno(failures.errno_value);
}

Result<std::size_t> MemoryStore::read(const CallContext&, server::OpenFile& open,
                                      std::uint64_t offset, std::span<std::byte> into) {
  if (auto error = failure(file_of(open), Failing::kReads)) return *error;
  const std::string& data = file_of(open).data;
  const std::size_t begin = std::min<std::size_t>(offset, data.size());
  const std::size_t count = std::min(into.size(), data.size() - begin);
  std::memcpy(into.data(), data.data() + begin, count);
  return count;
}

void MemoryStore::store(File& file, std::uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  if (file.data.size() < offset + bytes.size()) file.data.resize(offset + bytes.size(), '\0');
  observer_.stored(file.name, offset, bytes);
  file.data.replace(offset, bytes.size(), bytes);
}

Result<wire::Attributes> MemoryStore::write(const CallContext& context, server::OpenFile& open,
                                            std::span<const server::WritePiece> pieces,
                                            const server::AttributeChanges& changes) {
  File& file = file_of(open);
  std::size_t written = 0;
  for (const auto& piece : pieces) written += piece.data.size();
  std::optional<Errno> error;
  if (written != 0) error = failure(file, Failing::kWrites);
  if (error) written = random_.one_in(2) ? 0 : random_.below(written + 1);
  auto look = [&] {
    return stamp_of(file);
  };
  file.changes->begin_change(look);
  if ((changes.valid & proto::kSetMode) != 0) file.mode = changes.mode & 07777;
  std::size_t left = written;
  for (const auto& [offset, data] : pieces) {
    const std::size_t bytes = std::min(left, data.size());
    store(file, offset, {reinterpret_cast<const char*>(data.data()), bytes});
    left -= bytes;
  }
  const bool sets_mtime = (changes.valid & proto::kSetMtime) != 0;
  const bool changed = written != 0 || changes.valid != 0;
  if (changed) file.ctime_ns = next_time();
  if (changed) file.mtime_ns = sets_mtime ? changes.mtime_ns : file.ctime_ns;
  const wire::Attributes attributes = end_change(context, file, !error);
  if (error) return *error;
  return attributes;
}

void MemoryStore::end_exclusive(const CallContext& context, server::OpenFile& open) {
  const bool exclusive = static_cast<Open&>(open).exclusive;
  if (exclusive) file_of(open).changes->end_exclusive(*context.holder);
}

Result<wire::Attributes> MemoryStore::commit(const CallContext& context, server::OpenFile& open,
                                             bool) {
  if (auto error = failure(file_of(open), Failing::kChanges)) return *error;
  return attributes_of(context, file_of(open));
}

// --- What no simulated program asks for ---------------------------------------------------------

Result<server::Entry> MemoryStore::mknod(const CallContext&, HandleView, Name, server::CreationMode,
                                         dev_t) {
  return Errno(EOPNOTSUPP);
}
Result<server::Entry> MemoryStore::mkdir(const CallContext&, HandleView, Name,
                                         server::CreationMode) {
  return Errno(EOPNOTSUPP);
}
Result<server::Entry> MemoryStore::symlink(const CallContext&, HandleView, Name,
                                           const std::string&) {
  return Errno(EOPNOTSUPP);
}
Result<server::Entry> MemoryStore::link(const CallContext&, HandleView, HandleView, Name) {
  return Errno(EOPNOTSUPP);
}
Result<server::NamesChanged> MemoryStore::unlink(const CallContext&, HandleView, Name, bool) {
  return Errno(EOPNOTSUPP);
}
Result<server::NamesChanged> MemoryStore::rename(const CallContext&, HandleView, Name, HandleView,
                                                 Name, unsigned) {
  return Errno(EOPNOTSUPP);
}
Result<std::string> MemoryStore::readlink(const CallContext&, HandleView) {
  return Errno(EOPNOTSUPP);
}
Result<server::DirectoryRead> MemoryStore::read_directory(const CallContext&, HandleView,
                                                          std::uint64_t, bool,
                                                          server::DirectorySink&) {
  return Errno(EOPNOTSUPP);
}
Result<std::size_t> MemoryStore::get_xattr(const CallContext&, HandleView, server::XattrName,
                                           std::span<std::byte>) {
  return Errno(EOPNOTSUPP);
}
Result<std::size_t> MemoryStore::list_xattrs(const CallContext&, HandleView, std::span<std::byte>) {
  return Errno(EOPNOTSUPP);
}
Result<wire::Attributes> MemoryStore::set_xattr(const CallContext&, HandleView, server::XattrName,
                                                std::span<const std::byte>, int) {
  return Errno(EOPNOTSUPP);
}
Result<wire::Attributes> MemoryStore::remove_xattr(const CallContext&, HandleView,
                                                   server::XattrName) {
  return Errno(EOPNOTSUPP);
}
Result<server::Appended> MemoryStore::append(const CallContext&, server::OpenFile&,
                                             std::span<const std::byte>) {
  return Errno(EOPNOTSUPP);
}
Result<wire::Attributes> MemoryStore::allocate(const CallContext&, server::OpenFile&, unsigned,
                                               std::uint64_t, std::uint64_t) {
  return Errno(EOPNOTSUPP);
}
Result<std::uint64_t> MemoryStore::seek(const CallContext&, server::OpenFile&, std::uint64_t,
                                        bool) {
  return Errno(EOPNOTSUPP);
}
Result<server::Copied> MemoryStore::copy(const CallContext&, server::OpenFile&, std::uint64_t,
                                         server::OpenFile&, std::uint64_t, std::uint64_t) {
  return Errno(EOPNOTSUPP);
}
Result<server::Space> MemoryStore::space(const CallContext&, HandleView) {
  return Errno(EOPNOTSUPP);
}

}  // namespace foliofs::sim
