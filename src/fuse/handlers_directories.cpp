// The handlers of directories. The kernel asks for a page of entries at a time and the server sends
// many, so an open directory keeps those that have not been handed out.
#include "request.h"

namespace foliofs::fuse {

namespace {

struct DirectoryStream {
  vfs::OpenDirectory* directory = nullptr;
  std::vector<vfs::DirectoryEntry> entries;
  std::size_t next = 0;          // the first entry that has not been handed out
  std::uint64_t position = 0;    // the cookie of the last one that has
  bool with_attributes = false;  // what `entries` was asked for with
};

DirectoryStream* stream_of(const fuse_file_info* info) {
  return reinterpret_cast<DirectoryStream*>(info->fh);
}

// Drops what has not been handed out, with the references that came with it.
void forget_entries(vfs::Operations& operations, DirectoryStream& stream) {
  for (; stream.next < stream.entries.size(); ++stream.next) {
    const auto& entry = stream.entries[stream.next].entry;
    if (entry) operations.forget(entry->node, 1);
  }
  stream.entries.clear();
  stream.next = 0;
}

// One entry as the kernel wants it. 0 when it does not fit into `room`.
std::size_t add_entry(fuse_req_t req, FuseContext& context, bool plus,
                      const vfs::DirectoryEntry& entry, char* at, std::size_t room) {
  std::size_t size = 0;
  if (plus) {
    fuse_entry_param param{};
    if (entry.entry) {
      param = to_entry(*entry.entry, context);
    } else {
      param.attr.st_ino = entry.ino;
      param.attr.st_mode = entry.type;
    }
    size = fuse_add_direntry_plus(req, at, room, entry.name.c_str(), &param,
                                  static_cast<off_t>(entry.cookie));
  } else {
    struct stat stat {};
    stat.st_ino = entry.ino;
    stat.st_mode = entry.type;
    size = fuse_add_direntry(req, at, room, entry.name.c_str(), &stat,
                             static_cast<off_t>(entry.cookie));
  }
  return size <= room ? size : 0;
}

Task<void> run_readdir(RequestRef request, fuse_req_t req, DirectoryStream* stream,
                       std::size_t size, std::uint64_t offset, bool plus) {
  vfs::Operations& operations = request->operations();
  const bool continues = offset == stream->position && stream->with_attributes == plus;
  if (!continues) forget_entries(operations, *stream);
  if (stream->next == stream->entries.size()) {
    auto entries =
        co_await operations.read_directory(request->call(), stream->directory, offset, plus);
    if (!entries) {
      request->reply(entries.error());
      co_return;
    }
    forget_entries(operations, *stream);
    stream->entries = std::move(entries.value());
    stream->with_attributes = plus;
    stream->position = offset;
  }
  std::vector<char> page(size);
  std::size_t used = 0;
  const std::size_t first = stream->next;
  for (; stream->next < stream->entries.size(); ++stream->next) {
    const auto& entry = stream->entries[stream->next];
    const std::size_t added =
        add_entry(req, request->context(), plus, entry, page.data() + used, size - used);
    if (added == 0) break;
    used += added;
    stream->position = entry.cookie;
  }
  if (request->reply_bytes(page.data(), used)) co_return;
  // Nobody took them, so the kernel does not hold their references.
  for (std::size_t i = first; i < stream->next; ++i) {
    if (stream->entries[i].entry) operations.forget(stream->entries[i].entry->node, 1);
  }
}

void start_readdir(fuse_req_t req, std::size_t size, off_t offset, fuse_file_info* info,
                   bool plus) {
  auto request = Request::make(req);
  spawn(request->context().executor, "readdir",
        run_readdir(request, req, stream_of(info), size, static_cast<std::uint64_t>(offset), plus));
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
  auto directory = request->operations().open_directory(node);
  if (!directory) {
    request->reply(directory.error());
    return;
  }
  auto stream = std::make_unique<DirectoryStream>();
  stream->directory = directory.value();
  info->fh = reinterpret_cast<std::uint64_t>(stream.get());
  if (request->reply_open_directory(*info)) {
    stream.release();  // until on_releasedir
  } else {
    request->operations().release_directory(stream->directory);
  }
}

void on_releasedir(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
  auto request = Request::make(req);
  std::unique_ptr<DirectoryStream> stream(stream_of(info));
  forget_entries(request->operations(), *stream);
  request->operations().release_directory(stream->directory);
  request->reply(success());
}

// Directory changes are on the server when they are answered.
void on_fsyncdir(fuse_req_t req, fuse_ino_t, int, fuse_file_info*) {
  fuse_reply_err(req, 0);
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
