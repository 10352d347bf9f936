// Reference: what every byte of every file may be, given what programs were told.
//
// Each write of a file stores one value of its own (1 to 255) into all of its bytes, so a byte
// identifies the write that it comes from; 0 comes from a truncation, or is a hole. A write has
// three moments: it begins; it is acknowledged (write(2) has returned, or the store to a mapping
// has happened); it is settled, when its client was told that it is on the server (an fsync, close
// or invalidation that began after the acknowledgement has succeeded). Until then the client may
// send it to the server at any moment.
//
// These moments decide which of two writes is certainly the older one:
//   of one client:  the first was acknowledged before the second began
//   of two clients: the first was settled before the second began
// and that decides what is forbidden:
//   loss        a byte of an acknowledged write is neither on the server nor dirty at its client,
//               and nothing younger covers it (I1); or it was settled and is not on the server (I7)
//   disorder    the server takes an older write of a client after a younger one (I5), or bytes
//               beyond the end that a younger truncation has set (I9)
//   staleness   a read shows a byte that is certainly older than one that it had to show: an own
//               write, or what was settled before the client last revalidated (I3, I4)
//
// A page of a mapping is written back whole. So a store to a page may send every older byte of the
// page to the server once more; the writes of those bytes become unsettled again.
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
  // Bytes of a client's file that are dirty or on their way to the server. Where two pieces overlap
  // the later one has the younger bytes.
  struct Piece {
    std::uint64_t offset = 0;
    std::string bytes;
  };
  using HeldByClient = std::function<std::vector<Piece>(int client, const std::string& file)>;

  Moment now() { return ++moment_; }

  // At first the file has `size` bytes of zeros. A file that is not named is empty.
  void begin_file(const std::string& file, std::uint64_t size) {
    files_[file].size_at_first = size;
  }

  // --- What programs do -------------------------------------------------------------------------

  // Returns the write's value; nullopt when this file has had all values.
  std::optional<std::uint8_t> begin_write(int client, const std::string& file, ByteRange range);
  std::size_t begin_truncate(int client, const std::string& file, std::uint64_t size);
  // A write or truncation that failed may have happened all the same, or still happen later.
  void acknowledge_write(const std::string& file, std::uint8_t value);
  void acknowledge_truncate(const std::string& file, std::size_t event);
  void fail_truncate(const std::string& file, std::size_t event);
  // The server has refused a change of the client. If that was the repetition of a truncation, the
  // truncation fails although it may have happened the first time.
  void refuse_truncate(int client, const std::string& file);
  // The client has made a page of a mapping with these bytes dirty. Returns the moment.
  Moment page_dirtied(int client, const std::string& file, const Piece& page);
  // The page is sent, with the bytes that it has at that time.
  void page_sent(int client, const std::string& file, const Piece& page, Moment dirtied_at);
  // The client was told that all that was acknowledged by `since` is on the server.
  void synced(int client, const std::string& file, Moment since);
  // A call of the client has changed the file on the server, which has `size` bytes after that.
  void changed_on_server(int client, const std::string& file, std::uint64_t size,
                         std::uint64_t call);
  // The call is answered, and leases that it had to wait for are returned. Returns the moment.
  Moment answered(std::uint64_t call);
  // The client has revalidated the file: reads from now on must show what was settled by `since`.
  void refreshed(int client, const std::string& file, Moment since);

  // --- What may be seen -------------------------------------------------------------------------

  // What a read that begins now has to show: own writes acknowledged by `since`, and what was
  // settled before `refreshed`, when the client last began to revalidate.
  struct View {
    Moment since = 0;
    Moment refreshed = 0;
  };
  View begin_read(int client, const std::string& file);
  // A read of `range` has returned `bytes`; it may be short at the end of the file. With `old_end`
  // that may be the end from before others made the file longer. Returns what is wrong, or nothing.
  std::string check_read(int client, const std::string& file, View view, ByteRange range,
                         std::string_view bytes, bool old_end) const;
  // A stat(2) that began at `view` has shown `size`. That must be where the file ended on the
  // server, then or later, or where an own write ends that may not be there yet. It may not be a
  // size from before an acknowledged own write, nor from before a change of the other client that
  // had been answered at `told`.
  std::string check_stat(int client, const std::string& file, View view, std::uint64_t size,
                         Moment told) const;
  // A mapping's access to `range` was refused because the file ends before it.
  std::string check_beyond_end(int client, const std::string& file, View view,
                               ByteRange range) const;
  // The server stores `bytes` from `client`.
  std::string check_stored(int client, const std::string& file, std::uint64_t offset,
                           std::string_view bytes);
  void truncated_on_server(int client, const std::string& file, std::uint64_t size);
  // Nothing on the server is older than what was settled.
  std::string check_settled(const std::string& file, const std::string& on_server) const;
  // Nothing that was acknowledged is lost.
  std::string check_kept(const std::string& file, const std::string& on_server,
                         const HeldByClient& held) const;
  // An invalidation without a flush, which began at `since`, has reported that it kept nothing: the
  // client must not hold anything any more that was stored before.
  std::string check_let_go(int client, const std::string& file, Moment since,
                           const std::vector<Piece>& held) const;
  // All programs have ended, everything was settled, and the file has `size` bytes.
  std::string check_size(const std::string& file, std::uint64_t size) const;

 private:
  struct Event {
    std::uint8_t value = 0;  // 0: a truncation
    int client = -1;         // -1: the initial content of the file
    ByteRange range;         // of a truncation: from the new end on
    Moment began = 0;
    Moment acknowledged = kNever;
    Moment settled = kNever;
    // Since when each client may send it to the server (again); kNever: it does not.
    Moment unsettled_since[kClients] = {kNever, kNever};
    bool resent = false;  // in a page of the other client
    bool failed = false;  // its caller was told so, but it may have happened
    RangeSet stored;      // the bytes of it that the server has stored
    // The ends of WRITEs whose last byte was of this event: it may have arrived in pieces.
    std::set<std::uint64_t> stored_ends;
  };
  // The size of a file on the server after a change.
  struct ServerSize {
    std::uint64_t size = 0;
    int client = -1;
    std::uint64_t call = 0;
    Moment changed = 0;
    Moment answered = kNever;
  };
  struct File {
    File();
    std::vector<Event> events;  // the first is the initial content of the file
    std::uint64_t size_at_first = 0;
    std::vector<ServerSize> sizes;  // after each change
    std::size_t by_value[256] = {};
    int writes = 0;
    std::set<std::uint64_t> page_ends;  // of pages that were written back whole
    RangeSet pages_sent[kClients];      // where the client may send bytes that it has only read
    Moment refreshed[kClients] = {0, 0};
  };

  // The client may send the bytes in `page` to the server once more.
  static void unsettle(File& file, int client, const Piece& page, Moment dirtied_at);
  static bool older(const Event& first, const Event& second);
  // Whether the event is a store to a mapping while the same client truncated the file. The kernel
  // drops its page when the truncation is answered, although others may have written since the
  // server executed it.
  static bool cut_by_own_truncation(const File& file, const Event& event);
  // Whether a truncation that may be younger has cut the event's end off.
  static bool may_be_cut(const File& file, const Event& event);
  // Whether the client may show `size` although the file does not end there on the server yet.
  static bool may_end_at(const File& file, int client, Moment since, std::uint64_t size);
  static bool truncates(const File& file, int client, Moment since);
  static std::string describe(const Event& event);
  const File& file_of(const std::string& name) const;
  // Whether `accept` is true for an event that a byte of `value` at `offset` may come from.
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
