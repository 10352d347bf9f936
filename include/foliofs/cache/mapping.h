// Mapping: the cached bytes of one file (the kernel's address_space), in folios.
//
// It guarantees I1 to I11 of tests/sim/README.md. It knows a file's size and bytes and nothing of
// names, permissions, times or FUSE.
//
// Single-threaded on the cache's loop. The mapping must stay alive until a Task that a member has
// returned has ended: hold the shared_ptr across it.
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

// Cached bytes as they were at the time of the read. They stay valid and unchanged for as long as
// this object lives.
struct ReadResult {
  boost::container::small_vector<iovec, 4> parts;  // in file order, without gaps
  boost::container::small_vector<BufferRef, 4> holds;
  std::uint64_t bytes = 0;  // the sum of the parts; fewer than asked only at the end of the file
};

// Where a store comes from. Page writeback, which the kernel does while it unmaps, must never wait
// for a gate or a folio lock, because their holder may be waiting for the kernel
// (docs/ARCHITECTURE.md).
enum class WriteSource { kSystemCall, kPageWriteback };

// What the server has done to a file at this client's request, other than by taking its WRITEs.
struct ServerChange {
  ByteRange range;         // bytes that have changed; empty for none
  std::uint64_t size = 0;  // the file is at least this long
};

// Bytes of the file that the caller fetches instead of the mapping, because they come with the
// reply to another request. If it is destroyed before arrived(), they did not come.
class Prefill {
 public:
  virtual ~Prefill() = default;
  // How many bytes are wanted, and where they go.
  virtual std::uint64_t bytes() const = 0;
  virtual std::span<const iovec> into() const = 0;
  // The first `bytes` of them have been put into into(), as the server had them at some time since
  // this object was made.
  virtual void arrived(std::uint64_t bytes) = 0;
};

// About how much memory a mapping without folios takes. The cache does not count it: the holder of
// the mappings has to (Cache::set_aside).
inline constexpr std::size_t kMappingBytes = 1024;

class Mapping {
 public:
  virtual ~Mapping() = default;

  // --- Size -----------------------------------------------------------------------------------

  // The size of the file as a reader here sees it: the server's, or more where bytes beyond the
  // server's end were stored here and have not been written back yet.
  virtual std::uint64_t size() const = 0;

  // The server says that the file has `size` bytes. Dirty bytes beyond that keep the file longer
  // here; clean bytes beyond it are dropped. While a truncate() or change_on_server() is under way
  // the file can only become longer: otherwise this does nothing and returns false.
  virtual bool set_server_size(std::uint64_t size) = 0;

  // --- Bytes ----------------------------------------------------------------------------------

  // Reads `range`, clamped to size(). Fetches what is missing, and reads ahead if `readahead` is
  // given. Errors: the store's, and those of write() about memory. Waits only for the store,
  // memory, the fault gate of a bulk invalidation, and a write() of the same bytes that is itself
  // waiting; beyond size() also for a change_on_server().
  virtual Task<Result<ReadResult>> read(ByteRange range, Readahead* readahead) = 0;

  // The same without waiting: false when read() would have to wait.
  virtual bool try_read(ByteRange range, Readahead* readahead, ReadResult& result) = 0;

  // Makes room for the first `bytes` of the file, which the caller is about to fetch. Readers wait
  // for these bytes as for a fetch of the mapping's own. nullptr when there is no room at the
  // moment, or when part of the file is cached or being fetched already.
  virtual std::unique_ptr<Prefill> try_prefill(std::uint64_t bytes) = 0;

  // Stores `data` at `offset` and returns when the bytes are dirty in the cache. Waits for memory,
  // and if the source is a system call also for the writers' gate, locked folios, the dirty limit,
  // and a truncate() or change_on_server() under way. `abandoned`, if given, is asked before the
  // store and after each wait: once it returns true nothing is stored and the result is EINTR.
  // Errors, after which nothing is stored: EFBIG past the largest offset; ENOMEM; the error of an
  // earlier writeback, when it still fails for this file, or when bytes that cannot be written
  // exceed the dirty limit or, for kPatience, fill the memory.
  virtual Task<Status> write(std::uint64_t offset, std::span<const std::byte> data,
                             WriteSource source, std::function<bool()> abandoned = {}) = 0;

  // The same without waiting: false when write() would wait or fail, and then nothing is stored.
  virtual bool try_write(std::uint64_t offset, std::span<const std::byte> data,
                         WriteSource source) = 0;

  // O_DIRECT: writes `data` to the server, after what is dirty of the range; the cache does not
  // keep it. Waits as write() does, but not for locked folios, memory or the dirty limit.
  virtual Task<Status> write_direct(std::uint64_t offset, std::span<const std::byte> data,
                                    std::function<bool()> abandoned = {}) = 0;
  // O_DIRECT: reads `range` from the server, not from the cache. Writes what is dirty of it first.
  virtual Task<Result<ReadResult>> read_direct(ByteRange range) = 0;

  // --- Writeback and invalidation --------------------------------------------------------------

  // Writes back everything that was dirty when it was called, by the path that `request` names, and
  // drops nothing. For FLUSH, fsync and RELEASE: it never waits for the kernel's pages.
  // Failures are in the report and in errors().
  virtual Task<InvalidateReport> flush(InvalidateRequest request) = 0;

  // Invalidates the whole file by the path that `request` names. When it returns without an error,
  // a read that begins later sees only bytes fetched after this call began, or stored here.
  virtual Task<InvalidateReport> invalidate(InvalidateRequest request) = 0;

  // Changes the size. Waits until no WRITE is in flight, then `on_server` tells the server, and if
  // that succeeds everything beyond `size` is dropped. Stores of system calls wait meanwhile, those
  // of page writeback do not. If `on_server` fails, nothing changes here.
  virtual Task<Status> truncate(std::uint64_t size, std::function<Task<Status>()> on_server) = 0;

  // Lets the server change bytes of `range` by itself: clear or allocate them, copy others there,
  // or append. What is dirty of `range` is written first; if that fails, its error is returned and
  // nothing else happens. Then, as in truncate(), `on_server` tells the server while no WRITE is in
  // flight, and the bytes that it reports as changed are dropped. If it fails, the clean bytes of
  // `range` are dropped. Reads beyond size() wait meanwhile.
  virtual Task<Status> change_on_server(ByteRange range,
                                        std::function<Task<Result<ServerChange>>()> on_server) = 0;

  // --- State ----------------------------------------------------------------------------------

  virtual ErrSeq& errors() = 0;
  virtual std::uint64_t dirty_bytes() const = 0;  // including those in flight to the server
  virtual std::uint64_t cached_bytes() const = 0;

  // Forgets everything, dirty bytes too: the file is gone for good. Returns how many were lost.
  virtual std::uint64_t abandon() = 0;
};

}  // namespace foliofs::cache
