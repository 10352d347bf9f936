// FolioMapping: the mapping's state, and the steps from which reading, storing, writeback and the
// three invalidation paths are made.
//
// Implemented by theme: folio_mapping.cpp (folios, size), fill.cpp (reads), prefill.cpp, store.cpp
// (writes), writeback.cpp, truncate.cpp, invalidate.cpp and invalidate_{launder,bulk,hybrid}.cpp.
//
// Who may wait for whom (W -> X: W waits for X):
//   read      -> a waiting write of the same bytes, a change on the server (beyond the end), store,
//                memory, fault gate
//   write     -> truncate, a change on the server, writers' gate, folio lock, memory, dirty limit,
//                store
//   truncate, change on the server -> an earlier one, writes in flight, store
//   flush     -> writes in flight, store
//   invalidate-> an earlier invalidation, the kernel's pages, then all that flush waits for
// While a path has a gate shut or a folio locked, it waits for nothing but the store; above all not
// for the kernel's pages, because the kernel may itself be waiting for a request at that gate. So
// there is no cycle.
#pragma once

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "cache_core.h"
#include "folio.h"
#include "foliofs/base/wait_queue.h"
#include "foliofs/cache/mapping.h"

namespace foliofs::cache {

// The options and the results of one writeback.
struct WritebackPass {
  bool for_invalidation = false;
  bool only_try = false;  // stop at the first error instead of writing the rest
  // Results:
  std::uint64_t write_calls = 0;
  std::uint64_t bytes_written = 0;
  std::optional<Errno> error;  // the last one

  // The server cannot be reached: further WRITEs of this pass would wait as long and fail as well.
  bool is_hopeless() const;
};

// A fetch from the store that is under way.
struct Fill {
  ByteRange range;
  bool ahead = false;  // readahead or prefill: no reader was waiting for it when it began
  std::uint64_t gen = 0;
  std::uint64_t trunc_epoch = 0;
  std::uint64_t size = 0;  // of the file when it was sent; it brings nothing beyond that
  RangeSet overtaken;      // changed on the server since, so what the fill brings may be older
  bool done = false;
  std::optional<Errno> error;

  // The bytes that it can still make valid.
  RangeSet brings() const {
    RangeSet bytes;
    bytes.add(range.intersect({0, size}));
    bytes.subtract(overtaken);
    return bytes;
  }
};

class FolioMapping final : public Mapping, public std::enable_shared_from_this<FolioMapping> {
 public:
  FolioMapping(std::shared_ptr<CacheCore> core, std::shared_ptr<FolioStore> store,
               std::shared_ptr<KernelPages> kernel_pages, std::uint64_t size);
  ~FolioMapping() override;

  // Mapping
  std::uint64_t size() const override { return size_; }
  bool set_server_size(std::uint64_t size) override;
  Task<Result<ReadResult>> read(ByteRange range, Readahead* readahead) override;
  bool try_read(ByteRange range, Readahead* readahead, ReadResult& result) override;
  std::unique_ptr<Prefill> try_prefill(std::uint64_t bytes) override;
  Task<Status> write(std::uint64_t offset, std::span<const std::byte> data, WriteSource source,
                     std::function<bool()> abandoned) override;
  bool try_write(std::uint64_t offset, std::span<const std::byte> data,
                 WriteSource source) override;
  Task<Status> write_direct(std::uint64_t offset, std::span<const std::byte> data,
                            std::function<bool()> abandoned) override;
  Task<Result<ReadResult>> read_direct(ByteRange range) override;
  Task<InvalidateReport> flush(InvalidateRequest request) override;
  Task<InvalidateReport> invalidate(InvalidateRequest request) override;
  Task<Status> truncate(std::uint64_t size, std::function<Task<Status>()> on_server) override;
  Task<Status> change_on_server(ByteRange range,
                                std::function<Task<Result<ServerChange>>()> on_server) override;
  ErrSeq& errors() override { return errors_; }
  std::uint64_t dirty_bytes() const override { return dirty_bytes_; }
  std::uint64_t cached_bytes() const override;
  std::uint64_t abandon() override;

  // Offsets in the file; 0 when there is nothing.
  std::uint64_t dirty_end() const;   // the end of what is dirty or being written
  std::uint64_t folios_end() const;  // the end of the last folio

  // --- Steps of the invalidation paths ----------------------------------------------------------

  Task<void> reach(FaultPoint point);

  // From here on no read uses clean bytes that were fetched earlier (I3).
  void begin_generation() { ++gen_; }
  Task<void> unmap(ByteRange range) { return kernel_pages_->invalidate(range); }

  // The first folio that ends after `offset`; nullptr when there is none.
  FolioRef folio_from(std::uint64_t offset);
  // The same among the folios that are not clean.
  FolioRef unclean_from(std::uint64_t offset);
  std::uint64_t unclean_count() const { return unclean_.size(); }
  std::uint64_t failed_count() const { return failed_folios_; }  // whose last writeback failed

  // Holds up system calls that store. The gates count: the last opening wakes those that wait.
  void shut_writers_gate() { ++writers_gate_; }
  void open_writers_gate();
  // Holds up reads, and with them page faults.
  void shut_fault_gate() { ++fault_gate_; }
  void open_fault_gate();

  Task<void> lock_folio(Folio& folio);
  void unlock_folio(Folio& folio);
  Task<void> wait_for_writeback(Folio& folio);

  // Writes back all of `range` that was dirty or in flight when it was called: several pieces in
  // one WRITE, several WRITEs in flight, and no store is held up. It ends even if a program keeps
  // appending.
  Task<void> writepages(ByteRange range, WritebackPass& pass);
  // Writes back one folio, one WRITE after the other. True when there was something to write and
  // the server has acknowledged it.
  Task<bool> write_folio_alone(FolioRef folio, WritebackPass& pass);

  // Drops the folio if nothing would be lost by that (I2); otherwise drops only its clean bytes and
  // returns false.
  bool try_drop(Folio& folio);

  // For the flusher and reclaim.
  TimePoint dirty_since{};
  TimePoint retry_after{};
  bool failed = false;  // has folios whose last writeback failed
  bool queued_dirty = false;
  bool being_flushed = false;  // by the flusher
  void reclaim(Folio& folio);

  // Measures how long system calls wait at a gate or a locked folio while this object exists.
  class StallMeter : public boost::intrusive::list_base_hook<> {
   public:
    explicit StallMeter(FolioMapping& mapping);
    ~StallMeter();
    StallMeter(const StallMeter&) = delete;
    StallMeter& operator=(const StallMeter&) = delete;
    // The longest wait so far, including those that have not ended.
    Duration longest() const;

   private:
    friend class FolioMapping;
    FolioMapping& mapping_;
    const TimePoint since_;
    Duration longest_ended_{0};
  };

 private:
  class ArrivingBytes;
  struct WriteRun;
  class PageWriter;
  class WaitingStore;

  template <class Hook>
  using FolioSet = boost::intrusive::set<Folio, boost::intrusive::base_hook<Hook>,
                                         boost::intrusive::key_of_value<FolioBegin>>;

  // folio_mapping.cpp
  ByteRange folio_range(std::uint64_t offset) const;
  Folio* find(std::uint64_t offset);
  FolioRef find_or_create(std::uint64_t offset);
  void erase(Folio& folio);
  // `bytes` have changed on the server: fills under way may bring older ones.
  void overtake_fills(const RangeSet& bytes);
  void overtake_fills(ByteRange bytes);
  // Forgets the clean bytes of `range`, and with `dirty_too` the dirty ones as well.
  void trim(ByteRange range, bool dirty_too);
  static std::uint64_t unclean_bytes(const Folio& folio);
  // To be called after the dirty or writing bytes of `folio` have changed. It had `before` of them.
  void settle(Folio& folio, std::uint64_t before);
  void account_dirty(std::uint64_t before, std::uint64_t after);
  void set_failed(Folio& folio, bool failed_now);

  // fill.cpp
  bool collect(ByteRange range, ReadResult& result);
  void start_readahead(ByteRange read, bool cached, Readahead* readahead);
  std::shared_ptr<Fill> begin_fill(ByteRange range, bool ahead);
  Task<Status> fetch(ByteRange range);
  static Task<void> run_fill(std::shared_ptr<FolioMapping> mapping, std::shared_ptr<Fill> fill);
  void end_fill(const std::shared_ptr<Fill>& fill, const std::vector<BufferRef>& buffers);
  ByteRange filled_part(ByteRange range, std::uint64_t offset) const;
  bool allocate(ByteRange range, std::vector<BufferRef>& buffers, std::vector<iovec>& into);
  Task<Result<std::uint64_t>> read_into(ByteRange range, std::vector<BufferRef>& buffers);
  void publish(const Fill& fill, const std::vector<BufferRef>& buffers);
  bool merge(Folio& folio, const BufferRef& filled, std::uint64_t filled_begin,
             const RangeSet& fresh);

  // store.cpp
  std::uint64_t memory_needed(ByteRange range);
  ByteRange private_buffer_range(const Folio* folio, ByteRange part) const;
  bool may_store(ByteRange range, WriteSource source);
  bool touches_locked_folio(ByteRange range);
  bool is_about_to_be_stored(ByteRange range) const;
  Task<Status> wait_to_store(ByteRange range);
  void adopt(Folio& folio, BufferRef buffer, std::uint64_t begin, const RangeSet& kept);
  bool store(std::uint64_t offset, std::span<const std::byte> data);
  Task<void> stall_until_woken(WaitQueue& queue);

  // truncate.cpp
  Task<void> hold_stores();
  void let_stores();
  Task<void> hold_writes();
  void let_writes();

  // writeback.cpp
  void take_dirty(Folio& folio);
  Task<bool> write_run(WriteRun run, WritebackPass& pass);
  Task<Status> send(const WriteRun& run, WritebackPass& pass);
  void sent(WriteRun run, const Status& status, WritebackPass& pass);
  void note_write_error(const WriteRun& run, Errno error);
  void writeback_ended(Folio& folio);

  // invalidate.cpp
  Task<InvalidateReport> run_path(InvalidateRequest request, bool discard);
  std::optional<InvalidateReport> answered_meanwhile(InvalidateRequest request,
                                                     std::uint64_t ticket) const;

  const std::shared_ptr<CacheCore> core_;
  const std::shared_ptr<FolioStore> store_;
  const std::shared_ptr<KernelPages> kernel_pages_;

  FolioSet<FolioInMapping> folios_;
  FolioSet<FolioInUnclean> unclean_;
  std::uint64_t size_;
  std::uint64_t dirty_bytes_ = 0;
  std::uint64_t failed_folios_ = 0;
  std::uint64_t store_seq_ = 0;  // of the latest store; folios' dseq come from it
  std::uint64_t gen_ = 1;
  std::uint64_t trunc_epoch_ = 0;
  ErrSeq errors_;

  std::list<std::shared_ptr<Fill>> fills_;
  WaitQueue fill_done_;

  // Folios with `writing` bytes, whether sent yet or only snapshotted, and direct writes. This is
  // what hold_writes() waits for.
  std::uint32_t writes_pending_ = 0;
  std::uint32_t writeback_hold_ = 0;  // while not 0, no folio is snapshotted
  WaitQueue writeback_changed_;

  std::uint32_t writers_gate_ = 0;
  std::uint32_t fault_gate_ = 0;
  // truncate() or change_on_server() is under way: system calls that store wait for its end.
  bool changing_ = false;
  WaitQueue gate_opened_;
  WaitQueue folio_unlocked_;
  WaitQueue change_ended_;
  std::list<TimePoint> stalls_;  // for each system call that waits at a gate or lock: since when
  std::list<ByteRange> waiting_stores_;
  std::uint32_t server_changes_ = 0;  // calls of change_on_server(); each may store beyond the end
  WaitQueue waiting_store_ended_;
  boost::intrusive::list<StallMeter> stall_meters_;

  // One invalidation at a time. Each request has a ticket. A pass also answers the requests for the
  // same thing that were made before it began (I11).
  struct LastPass {
    std::uint64_t began_at_ticket = 0;
    InvalidateRequest request;
    InvalidateReport report;
  };
  bool invalidating_ = false;
  std::uint64_t tickets_ = 0;
  std::optional<LastPass> last_pass_;
  WaitQueue invalidation_ended_;
};

}  // namespace foliofs::cache
