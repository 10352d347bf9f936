// Folio: one aligned piece of a file in memory, and the state of each of its bytes.
//
// All ranges are in bytes of the file, not of the folio. The mapping owns it; the references that
// writeback and waiters hold keep the object alive, but not in the mapping.
//
//   valid    bytes that may be read; a superset of dirty and writing
//   dirty    stored here and not sent since
//   writing  sent to the server, not acknowledged yet
//
//   clean  --store-->  dirty  --snapshot-->  writing  --acknowledged-->  clean
//                        ^                     |
//                        +------ failed -------+
//
// A store to bytes that are being written makes them dirty as well; the WRITE keeps the buffer that
// was sent, and the folio continues with a copy.
#pragma once

#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/set_hook.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <optional>

#include "foliofs/base/byte_range.h"
#include "foliofs/base/result.h"
#include "foliofs/cache/buffer.h"

namespace foliofs::cache {

class FolioMapping;

// The containers that a folio may be in.
struct InMapping;  // of the mapping, by offset: all its folios
struct Unclean;    // of the mapping, by offset: those that are not clean
struct InReclaim;  // of the cache, by use: those that are clean

using FolioInMapping = boost::intrusive::set_base_hook<boost::intrusive::tag<InMapping>>;
using FolioInUnclean = boost::intrusive::set_base_hook<boost::intrusive::tag<Unclean>>;
using FolioInReclaim = boost::intrusive::list_base_hook<boost::intrusive::tag<InReclaim>>;

struct Folio : FolioInMapping, FolioInUnclean, FolioInReclaim {
  explicit Folio(ByteRange folio_range) : range(folio_range) {}
  Folio(const Folio&) = delete;
  Folio& operator=(const Folio&) = delete;

  const ByteRange range;            // aligned; the file may end inside it
  FolioMapping* mapping = nullptr;  // nullptr once it has left the mapping
  BufferRef buffer;                 // for the folio or a part of it, in whole pages
  std::uint64_t buffer_begin = 0;   // offset in the file of the buffer's first byte

  RangeSet valid;
  RangeSet dirty;
  RangeSet writing;
  std::uint64_t dseq = 0;       // sequence number of the latest store
  std::uint64_t wseq = 0;       // that of the latest store that the server has acknowledged
  std::uint64_t sent_dseq = 0;  // dseq when `writing` was taken
  std::uint64_t sent_gen = 0;   // the mapping's generation when `writing` was taken
  std::uint64_t fill_gen = 0;   // clean bytes were fetched in this generation of the mapping

  std::uint32_t writes_in_flight = 0;   // parts of `writing` that are still unanswered
  std::optional<Errno> write_error;     // of the writes in flight
  bool failed = false;                  // its last writeback failed
  bool locked = false;                  // by launder: system calls may not store to it
  bool active = false;                  // belongs on the active list of reclaim
  bool referenced = false;              // used again since reclaim looked at it
  bool ahead = false;                   // fetched by readahead, not read yet
  std::uint8_t passed_over = 0;         // how often reclaim has spared it because it is `ahead`
  std::uint64_t reclaimable_bytes = 0;  // its size as the list of reclaim has counted it
  // Up to where it has been read or stored to, and whether bytes have been fetched since. A read or
  // store that goes on from there, or reads what was fetched, is not a second use of the folio.
  std::uint64_t used_to = 0;
  bool filled = false;

  bool under_writeback() const { return writes_in_flight != 0; }
  // Neither dirty nor being written. The mapping has an index of the folios that are not clean.
  bool clean() const { return dirty.empty() && writing.empty(); }

  // REQUIRES: the buffer covers `offset`.
  std::byte* at(std::uint64_t offset) { return buffer->data() + (offset - buffer_begin); }
  // The part of the file that the buffer covers.
  ByteRange held() const {
    return buffer ? ByteRange::of(buffer_begin, buffer->capacity()) : ByteRange{};
  }

  // Only bytes that were stored here and are not acknowledged yet stay readable.
  void forget_clean_bytes() {
    valid = dirty;
    valid.add(writing);
  }

  // Brings the folio into the mapping's generation: clean bytes from an older one are void (I3).
  void enter_generation(std::uint64_t gen) {
    if (fill_gen == gen) return;
    forget_clean_bytes();
    fill_gen = gen;
  }

 private:
  std::uint32_t references_ = 0;
  friend void intrusive_ptr_add_ref(Folio* folio) { ++folio->references_; }
  friend void intrusive_ptr_release(Folio* folio) {
    if (--folio->references_ == 0) delete folio;
  }
};

using FolioRef = boost::intrusive_ptr<Folio>;

// The key by which a mapping orders its folios.
struct FolioBegin {
  using type = std::uint64_t;
  std::uint64_t operator()(const Folio& folio) const { return folio.range.begin; }
};

}  // namespace foliofs::cache
