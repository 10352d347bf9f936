// The handlers of directories. The kernel asks for a page of entries at a time and the server sends
// many, so an open directory keeps the entries that it has not handed out yet, and whether they are
// the last. A read from the beginning or after a seek asks the server again.
#include "fuse_types.h"
#include "handlers.h"
#include "request.h"

namespace foliofs::fuse {

namespace {

struct DirectoryStream {
  vfs::OpenDirectoryRef directory;
  std::vector<vfs::DirectoryEntry> entries;
  std::size_t next = 0;          // the first entry that has not been handed out
  std::uint64_t position = 0;    // cookie of the last entry that was handed out
  bool with_attributes = false;  // `entries` was read with them
  bool end = false;              // no entries follow `entries`

  // Whether the entries after `offset` are here. READDIRPLUS cannot use entries without attributes:
  // the kernel would have to LOOKUP each name whose attributes it wants.
  bool has_next(std::uint64_t offset, bool plus) const {
    if (offset == 0 || offset != position) return false;
    return next < entries.size() ? with_attributes || !plus : end;
  }
};

// The kernel's handle of a stream is the address of one reference to it, which lives until
// RELEASEDIR. A call whose caller was interrupted may go on after that, so each call holds a
// reference of its own.
using StreamRef = std::shared_ptr<DirectoryStream>;

StreamRef& stream_of(const fuse_file_info* info) {
  return *reinterpret_cast<StreamRef*>(info->fh);
}

// Gives back the node references of entries that the kernel has not taken over.
void forget_entries(vfs::Operations& operations, std::span<const vfs::DirectoryEntry> entries) {
  for (const auto& entry : entries) {
    if (entry.entry) operations.forget(entry.entry->node, 1);
  }
}

// Drops the entries that have not been handed out.
void drop_entries(vfs::Operations& operations, DirectoryStream& stream) {
  forget_entries(operations, std::span(stream.entries).subspan(stream.next));
  stream.entries.clear();
  stream.next = 0;
  stream.end = false;
}

// Bytes that an entry takes in the reply.
std::size_t size_of_entry(fuse_req_t req, bool plus, const vfs::DirectoryEntry& entry) {
  const char* name = entry.name.c_str();
  return plus ? fuse_add_direntry_plus(req, nullptr, 0, name, nullptr, 0)
              : fuse_add_direntry(req, nullptr, 0, name, nullptr, 0);
}

void put_entry(fuse_req_t req, bool plus, const vfs::DirectoryEntry& entry, std::span<char> to) {
  if (plus) {
    fuse_entry_param param{};
    if (entry.entry) {
      param = to_entry(*entry.entry);
    } else {
      param.attr.st_ino = entry.ino;
      param.attr.st_mode = entry.type;
    }
    fuse_add_direntry_plus(req, to.data(), to.size(), entry.name.c_str(), &param,
                           static_cast<off_t>(entry.cookie));
  } else {
    struct stat stat {};
    stat.st_ino = entry.ino;
    stat.st_mode = entry.type;
    fuse_add_direntry(req, to.data(), to.size(), entry.name.c_str(), &stat,
                      static_cast<off_t>(entry.cookie));
  }
}

// Reads the entries after `offset`. False when the request is over: it failed, or has been answered
// with EINTR meanwhile.
Task<bool> fill(RequestRef request, StreamRef stream, std::uint64_t offset, bool plus) {
  vfs::Operations& operations = request->operations();
  auto read = co_await operations.read_directory(request->call(), stream->directory, offset, plus);
  if (!read) {
    request->reply(read.error());
    co_return false;
  }
  if (request->answered()) {
    // By now another call may use the stream, or it is closed.
    forget_entries(operations, read.value().entries);
    co_return false;
  }
  drop_entries(operations, *stream);
  stream->entries = std::move(read.value().entries);
  stream->end = read.value().end;
  stream->with_attributes = plus;
  stream->position = offset;
  co_return true;
}

// Answers with as many of the next entries as fit; with none at the end.
void hand_out(const RequestRef& request, fuse_req_t req, DirectoryStream& stream, std::size_t size,
              bool plus) {
  vfs::Operations& operations = request->operations();
  std::vector<char> page(size);
  std::size_t used = 0;
  const std::size_t first = stream.next;
  for (; stream.next < stream.entries.size(); ++stream.next) {
    auto& entry = stream.entries[stream.next];
    const std::size_t needed = size_of_entry(req, plus, entry);
    if (needed > size - used) break;
    // vfs counts a refreshed entry as known to the kernel, so refresh only what fits.
    if (plus) operations.refresh(*stream.directory, entry);
    put_entry(req, plus, entry, std::span(page).subspan(used, needed));
    used += needed;
    stream.position = entry.cookie;
  }
  const auto handed_out = std::span(stream.entries).subspan(first, stream.next - first);
  const bool taken = request->reply_bytes(page.data(), used);
  if (!taken || !plus) forget_entries(operations, handed_out);
}

Task<void> read_and_hand_out(RequestRef request, fuse_req_t req, StreamRef stream, std::size_t size,
                             std::uint64_t offset, bool plus) {
  const bool filled = co_await fill(request, stream, offset, plus);
  if (filled) hand_out(request, req, *stream, size, plus);
}

void start_readdir(fuse_req_t req, std::size_t size, off_t offset, fuse_file_info* info,
                   bool plus) {
  auto request = Request::make(req);
  const StreamRef& stream = stream_of(info);
  const auto at = static_cast<std::uint64_t>(offset);
  if (stream->has_next(at, plus)) {
    hand_out(request, req, *stream, size, plus);
  } else {
    start(request, read_and_hand_out(request, req, stream, size, at, plus));
  }
}
void on_readdir(fuse_req_t req, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  start_readdir(req, size, offset, info, false);
}
void on_readdirplus(fuse_req_t req, fuse_ino_t, std::size_t size, off_t offset,
                    fuse_file_info* info) {
  start_readdir(req, size, offset, info, true);
}

void on_opendir(fuse_req_t req, fuse_ino_t node, fuse_file_info* info) {
  auto request = Request::make(req);
  auto opened = request->operations().open_directory(node);
  if (!opened) {
    request->reply(opened.error());
    return;
  }
  auto stream = std::make_unique<StreamRef>(std::make_shared<DirectoryStream>());
  (*stream)->directory = opened.value().directory;
  info->fh = reinterpret_cast<std::uint64_t>(stream.get());
  if (request->reply_open_directory(opened.value(), *info)) {
    (void)stream.release();  // on_releasedir takes it back
  } else {
    request->operations().release_directory(opened.value().directory.get());
  }
}

void on_releasedir(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  auto request = Request::make(req);
  std::unique_ptr<StreamRef> stream(&stream_of(info));
  drop_entries(request->operations(), **stream);
  request->operations().release_directory((*stream)->directory.get());
  request->reply(success());
}

Task<void> run_fsyncdir(RequestRef request, vfs::OpenDirectoryRef directory, bool data_only) {
  request->reply(
      co_await request->operations().fsync_directory(request->call(), directory, data_only));
}
void on_fsyncdir(fuse_req_t req, fuse_ino_t, int data_only, fuse_file_info* info) {
  auto request = Request::make(req);
  start(request, run_fsyncdir(request, stream_of(info)->directory, data_only != 0));
}

}  // namespace

void add_directory_handlers(fuse_lowlevel_ops& handlers) {
  handlers.opendir = on_opendir;
  handlers.readdir = on_readdir;
  handlers.readdirplus = on_readdirplus;
  handlers.releasedir = on_releasedir;
  handlers.fsyncdir = on_fsyncdir;
}

}  // namespace foliofs::fuse
