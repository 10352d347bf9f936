// Mapping: the cached bytes of one file (the kernel's address_space), in folios.
//
// What it promises is I1 to I11 of tests/sim/README.md. It knows a file's size and bytes and
// nothing of names, permissions, times or FUSE.
//
// Single-threaded on the cache's loop. A Task that a member returns needs the mapping alive until
// it ends: hold the shared_ptr across it.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "foliofs/base/byte_range.h"
#include "foliofs/base/result.h"
#include "foliofs/base/task.h"
#include "foliofs/cache/buffer.h"
#include "foliofs/cache/err_seq.h"
#include "foliofs/cache/invalidate.h"
#include "foliofs/cache/readahead.h"

namespace foliofs::cache {

// Bytes of the cache as they were when they were read; valid for as long as the object lives.
struct ReadResult {
  boost::container::small_vector<iovec, 4> parts;  // in file order, without gaps
  boost::container::small_vector<BufferRef, 4> holds;
  std::uint64_t bytes = 0;  // the sum of the parts; fewer than asked only at the end of the file
};

// Who stores. A page that the kernel writes back while it unmaps must never wait for a gate or a
// folio lock, because whoever holds those may be waiting for the kernel (docs/ARCHITECTURE.md).
enum class WriteSource { kSystemCall, kPageWriteback };

// What the server has done to a file at this client's request, other than by taking its WRITEs.
struct ServerChange {
  ByteRange range;         // bytes that are others now; empty for none
  std::uint64_t size = 0;  // the file goes on at least to here
};

// Bytes that somebody else than the mapping fetches, because they come along with another reply.
// Whoever destroys it before they have arrived has not got them.
class Prefill {
 public:
  virtual ~Prefill() = default;
  // How many are wanted, and where they go.
  virtual std::uint64_t bytes() const = 0;
  virtual std::span<const iovec> into() const = 0;
  // The first `bytes` of them are there, as the server had them at some time since this was made.
  virtual void arrived(std::uint64_t bytes) = 0;
};

// What a mapping with nothing in it takes of memory, about. It is whoever holds mappings that has
// to count it (Cache::set_aside).
inline constexpr std::size_t kMappingBytes = 1024;

class Mapping {
 public:
  virtual ~Mapping() = default;

  // --- Size -----------------------------------------------------------------------------------

  // The end of the file as a reader here sees it: the server's, or beyond it what was stored here
  // and is not written back yet.
  virtual std::uint64_t size() const = 0;

  // The server says that the file has `size` bytes. Dirty bytes beyond it keep the file longer
  // here; clean bytes beyond it go. False when that was not done: while a truncate() or
  // change_on_server() is under way the file only becomes longer.
  virtual bool set_server_size(std::uint64_t size) = 0;

  // --- Bytes ----------------------------------------------------------------------------------

  // Reads `range`, clamped to size(). Fetches what is missing, and ahead of it if `readahead` is
  // given. Errors: what the store said. Waits only for the store, for memory, and for the fault
  // gate of a bulk invalidation.
  virtual Task<Result<ReadResult>> read(ByteRange range, Readahead* readahead) = 0;

  // The same without waiting: false when that is not possible just now.
  virtual bool try_read(ByteRange range, Readahead* readahead, ReadResult& result) = 0;

  // Makes room for the first `bytes` of the file, which whoever calls is about to fetch. Readers
  // wait for what it brings as for a fetch of their own. nullptr when there is no room just now, or
  // when something of the file is cached or fetched already.
  virtual std::unique_ptr<Prefill> try_prefill(std::uint64_t bytes) = 0;

  // Stores `data` at `offset` and returns when the bytes are dirty in the cache. Waits for the
  // writers' gate, locked folios, memory, and the dirty limit. `abandoned`, if given, is asked
  // after each wait: once it says true nothing is stored and the result is EINTR.
  // EFBIG past the largest offset; ENOMEM; when the dirty limit cannot be reached because this
  // file's bytes cannot be written: the error of that write, and nothing is stored.
  virtual Task<Status> write(std::uint64_t offset, std::span<const std::byte> data,
                             WriteSource source, std::function<bool()> abandoned = {}) = 0;

  // The same without waiting: false when that is not possible just now, and nothing was stored.
  virtual bool try_write(std::uint64_t offset, std::span<const std::byte> data,
                         WriteSource source) = 0;

  // O_DIRECT: as write(), and the bytes are on the server and no longer cached when it returns.
  virtual Task<Status> write_direct(std::uint64_t offset, std::span<const std::byte> data,
                                    std::function<bool()> abandoned = {}) = 0;
  // O_DIRECT: dirty bytes of `range` are written first, then the server is asked, not the cache.
  virtual Task<Result<ReadResult>> read_direct(ByteRange range) = 0;

  // --- Writeback and invalidation --------------------------------------------------------------

  // Writes back everything that was dirty when it was called, by the path of `request` and without
  // dropping anything clean. For FLUSH, fsync and RELEASE: it never waits for the kernel's pages.
  // Failures are in the report and in errors().
  virtual Task<InvalidateReport> flush(InvalidateRequest request) = 0;

  // Invalidates the whole file by the path of `request`. When it returns without an error, a read
  // that begins later sees only what was fetched after this call began, or bytes stored here.
  virtual Task<InvalidateReport> invalidate(InvalidateRequest request) = 0;

  // Changes the size. Waits until no write to the server is in flight, lets `on_server` tell the
  // server, and if that succeeds drops everything beyond `size`. Stores wait meanwhile, but for
  // those of page writeback. If `on_server` fails nothing has changed here.
  virtual Task<Status> truncate(std::uint64_t size, std::function<Task<Status>()> on_server) = 0;

  // Lets the server change bytes of `range` by itself: clear or allocate them, copy others there,
  // or put some at its end. What is dirty of `range` is written first; an error of that is returned
  // and nothing else happens. Then as truncate(): `on_server` tells the server while no write is in
  // flight, and what it says has changed is dropped. If it fails the clean bytes of `range` are
  // dropped. Reads of what lies beyond size() wait meanwhile.
  virtual Task<Status> change_on_server(ByteRange range,
                                        std::function<Task<Result<ServerChange>>()> on_server) = 0;

  // --- State ----------------------------------------------------------------------------------

  virtual ErrSeq& errors() = 0;
  virtual std::uint64_t dirty_bytes() const = 0;  // those in flight to the server included
  virtual std::uint64_t cached_bytes() const = 0;

  // Forgets everything, dirty bytes too: the file is gone for good. Bytes lost are returned.
  virtual std::uint64_t abandon() = 0;
};

}  // namespace foliofs::cache
