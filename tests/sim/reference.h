// Reference: what every byte of every file may be, from what programs were told.
//
// Each write of a file stores one value of its own (1 to 255) into all of its bytes, so a byte
// names the write that it comes from; 0 comes from a truncation, or is a hole. A write lives
// through three moments: it begins; it is acknowledged (write(2) has returned, the store to a
// mapping has happened); it is settled, when its client was told that it is on the server (fsync,
// close or an invalidation that began after the acknowledgement has succeeded). Until then the
// client may bring it to the server at any moment.
//
// From those follows which of two writes is the older one, where that is certain:
//   of one client:  the first was acknowledged before the second began
//   of two clients: the first was settled before the second began
// and with it what is forbidden:
//   loss        a byte of an acknowledged write is neither on the server nor dirty at its client,
//               and nothing younger covers it (I1); or it was settled and is not on the server (I7)
//   disorder    the server takes an older write of a client over a younger one (I5), or bytes
//               beyond the end that a younger truncation has set (I9)
//   staleness   a read sees what was certainly older than something that it had to see: an own
//               write, or what was settled before the client last looked anew (I3, I4)
//
// A page of a mapping is written back whole. So a store to a page may bring every older byte of it
// to the server once more: those count as not settled again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "foliofs/base/byte_range.h"

namespace foliofs::sim {

// A moment, in the order in which things happened.
using Moment = std::uint64_t;
inline constexpr Moment kNever = ~std::uint64_t{0};

class Reference {
 public:
  static constexpr int kClients = 2;
  // Bytes of a client's file that are not on the server: dirty, or on their way. Of two pieces that
  // overlap the later one holds the younger bytes.
  struct Piece {
    std::uint64_t offset = 0;
    std::string bytes;
  };
  using HeldByClient = std::function<std::vector<Piece>(int client, const std::string& file)>;

  Moment now() { return ++moment_; }

  // A file that is there at first, and has `size` bytes of zeros. One that is not named is empty.
  void begin_file(const std::string& file, std::uint64_t size) {
    files_[file].size_at_first = size;
  }

  // --- What programs do -------------------------------------------------------------------------

  // The write's value; nullopt when this file has had all that there are.
  std::optional<std::uint8_t> begin_write(int client, const std::string& file, ByteRange range);
  std::size_t begin_truncate(int client, const std::string& file, std::uint64_t size);
  // A write or truncation that failed may have happened all the same, later too.
  void acknowledge_write(const std::string& file, std::uint8_t value);
  void acknowledge_truncate(const std::string& file, std::size_t event);
  void fail_truncate(const std::string& file, std::size_t event);
  // The server has refused a change of the client: a truncation that it asks for once more may have
  // happened the first time, and fails all the same.
  void refuse_truncate(int client, const std::string& file);
  // The client has made a page of a mapping with these bytes dirty: when. Later it is sent, as it
  // is then.
  Moment page_dirtied(int client, const std::string& file, const Piece& page);
  void page_sent(int client, const std::string& file, const Piece& page, Moment dirtied_at);
  // All that the client had acknowledged by `since` is on the server, it was told.
  void synced(int client, const std::string& file, Moment since);
  // The file on the server has been changed by a call of the client, and is so large now.
  void changed_on_server(int client, const std::string& file, std::uint64_t size,
                         std::uint64_t call);
  // The call is answered, and whoever had leases has returned them. When.
  Moment answered(std::uint64_t call);
  // The client has looked anew: what was settled by `since` must be seen by reads from now on.
  void refreshed(int client, const std::string& file, Moment since);

  // --- What may be seen -------------------------------------------------------------------------

  // What a read that begins now has to see: own writes acknowledged by then, and what was settled
  // before the client last looked anew.
  struct View {
    Moment since = 0;
    Moment refreshed = 0;
  };
  View begin_read(int client, const std::string& file);
  // A read of `range` has returned `bytes`; it may be short at the end of the file. With
  // `old_end` that may be where it was before others made the file longer. Returns what is wrong,
  // or nothing.
  std::string check_read(int client, const std::string& file, View view, ByteRange range,
                         std::string_view bytes, bool old_end) const;
  // stat(2) that began as `view` says has told `size`: where the file ended on the server, then or
  // later, or where an own write ends that may not be there. It may not be what it was before an
  // own write that was acknowledged, nor before a change of the other client that had been answered
  // at `told`.
  std::string check_stat(int client, const std::string& file, View view, std::uint64_t size,
                         Moment told) const;
  // A mapping's access to `range` was refused because the file ends before it.
  std::string check_beyond_end(int client, const std::string& file, View view,
                               ByteRange range) const;
  // The server takes `bytes` of `client`.
  std::string check_stored(int client, const std::string& file, std::uint64_t offset,
                           std::string_view bytes);
  void truncated_on_server(int client, const std::string& file, std::uint64_t size);
  // What is on the server is not older than anything settled.
  std::string check_settled(const std::string& file, const std::string& on_server) const;
  // Nothing that was acknowledged is lost.
  std::string check_kept(const std::string& file, const std::string& on_server,
                         const HeldByClient& held) const;
  // An invalidation that flushed nothing has said that it kept nothing: what was stored before it
  // began, at `since`, is not held any more.
  std::string check_let_go(int client, const std::string& file, Moment since,
                           const std::vector<Piece>& held) const;
  // Nobody does anything any more and everything was settled.
  std::string check_size(const std::string& file, std::uint64_t size) const;

 private:
  struct Event {
    std::uint8_t value = 0;  // 0: a truncation
    int client = -1;         // -1: how the file was at first
    ByteRange range;         // of a truncation: from the new end on
    Moment began = 0;
    Moment acknowledged = kNever;
    Moment settled = kNever;
    // Since when each client may bring it to the server (again); kNever: it does not.
    Moment unsettled_since[kClients] = {kNever, kNever};
    bool resent = false;  // by a page of the other client
    bool failed = false;  // its caller was told so, whatever has happened
    RangeSet stored;      // what the server has had of it
    // Where WRITEs that ended with its bytes ended: it may have arrived in pieces.
    std::set<std::uint64_t> stored_ends;
  };
  // Of a file on the server, after a change.
  struct ServerSize {
    std::uint64_t size = 0;
    int client = -1;
    std::uint64_t call = 0;
    Moment changed = 0;
    Moment answered = kNever;
  };
  struct File {
    File();
    std::vector<Event> events;  // the first is how the file was at first
    std::uint64_t size_at_first = 0;
    std::vector<ServerSize> sizes;  // after each change
    std::size_t by_value[256] = {};
    int writes = 0;
    std::set<std::uint64_t> page_ends;  // of pages that were written back whole
    RangeSet pages_sent[kClients];      // where the client may send what it has only read
    Moment refreshed[kClients] = {0, 0};
  };

  // The client may bring what is in `page` to the server once more.
  static void unsettle(File& file, int client, const Piece& page, Moment dirtied_at);
  static bool older(const Event& first, const Event& second);
  // A store to a mapping while the same client truncated the file: the kernel drops its page when
  // the truncation is answered, although the server may have let others write since.
  static bool cut_by_own_truncation(const File& file, const Event& event);
  // A truncation that may be younger has cut it off.
  static bool may_be_cut(const File& file, const Event& event);
  // The client may see its end there, although the server does not have it yet.
  static bool may_end_at(const File& file, int client, Moment since, std::uint64_t size);
  static bool truncates(const File& file, int client, Moment since);
  static std::string describe(const Event& event);
  const File& file_of(const std::string& name) const;
  // The events that a byte of `value` at `offset` may come from.
  template <class Accept>
  static bool comes_from(const File& file, std::uint64_t offset, std::uint8_t value, Accept accept);
  // Calls `check(range, value)` for runs of equal bytes in which no event begins or ends.
  template <class Check>
  static std::string for_each_run(const File& file, std::uint64_t offset, std::string_view bytes,
                                  Check check);
  template <class MustSee>
  static std::string check_not_older(const File& file, std::uint64_t offset, std::string_view bytes,
                                     MustSee must_see);

  std::map<std::string, File> files_;
  Moment moment_ = 0;
};

}  // namespace foliofs::sim
