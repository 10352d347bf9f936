#include "tests/sim/reference.h"

#include <fmt/format.h>

#include <algorithm>

namespace foliofs::sim {

namespace {

constexpr std::uint64_t kPage = 4096;

std::string name_of(int client) {
  return client < 0 ? "nobody" : std::string(1, static_cast<char>('A' + client));
}

std::string text_of(ByteRange range) {
  return range.end >= ByteRange::kNoEnd ? fmt::format("[{}, end)", range.begin)
                                        : fmt::format("[{}, {})", range.begin, range.end);
}

std::string overlay(std::string bytes, const std::vector<Reference::Piece>& pieces) {
  for (const Reference::Piece& piece : pieces) {
    const std::uint64_t end = piece.offset + piece.bytes.size();
    if (bytes.size() < end) bytes.resize(end, '\0');
    bytes.replace(piece.offset, piece.bytes.size(), piece.bytes);
  }
  return bytes;
}

}  // namespace

Reference::File::File() {
  Event first;
  first.range = ByteRange::all();
  first.acknowledged = first.settled = 0;
  events.push_back(std::move(first));
}

// --- What programs do ---------------------------------------------------------------------------

const Reference::File& Reference::file_of(const std::string& name) const {
  static const File untouched;
  auto found = files_.find(name);
  return found == files_.end() ? untouched : found->second;
}

std::optional<std::uint8_t> Reference::begin_write(int client, const std::string& name,
                                                   ByteRange range) {
  File& file = files_[name];
  if (file.writes == 255) return std::nullopt;
  const auto value = static_cast<std::uint8_t>(++file.writes);
  Event event;
  event.value = value;
  event.client = client;
  event.range = range;
  event.began = now();
  event.unsettled_since[client] = event.began;
  file.by_value[value] = file.events.size();
  file.events.push_back(std::move(event));
  return value;
}

std::size_t Reference::begin_truncate(int client, const std::string& name, std::uint64_t size) {
  File& file = files_[name];
  Event event;
  event.client = client;
  event.range = {size, ByteRange::kNoEnd};
  event.began = now();
  file.events.push_back(std::move(event));
  return file.events.size() - 1;
}

void Reference::acknowledge_write(const std::string& name, std::uint8_t value) {
  File& file = files_[name];
  Event& event = file.events[file.by_value[value]];
  event.acknowledged = now();
  event.unsettled_since[event.client] = event.acknowledged;
}

void Reference::acknowledge_truncate(const std::string& name, std::size_t index) {
  Event& event = files_[name].events[index];
  event.acknowledged = event.settled = now();
  event.failed = false;
}

void Reference::fail_truncate(const std::string& name, std::size_t index) {
  files_[name].events[index].failed = true;
}

void Reference::refuse_truncate(int client, const std::string& name) {
  for (Event& event : files_[name].events) {
    const bool under_way = event.value == 0 && event.acknowledged == kNever;
    if (under_way && event.client == client) event.failed = true;
  }
}

Moment Reference::page_dirtied(int client, const std::string& name, const Piece& page) {
  const Moment moment = now();
  unsettle(files_[name], client, page, moment);
  return moment;
}

void Reference::page_sent(int client, const std::string& name, const Piece& page,
                          Moment dirtied_at) {
  File& file = files_[name];
  const ByteRange range = ByteRange::of(page.offset, page.bytes.size());
  file.page_ends.insert(range.end);
  file.pages_sent[client].add(range);
  unsettle(file, client, page, dirtied_at);
}

void Reference::unsettle(File& file, int client, const Piece& page, Moment dirtied_at) {
  const ByteRange range = ByteRange::of(page.offset, page.bytes.size());
  for (Event& event : file.events) {
    const ByteRange common = event.range.intersect(range);
    const std::string_view bytes =
        std::string_view(page.bytes)
            .substr(common.empty() ? 0 : common.begin - page.offset, common.size());
    if (bytes.find(static_cast<char>(event.value)) == std::string_view::npos) continue;
    event.settled = kNever;
    Moment& unsettled = event.unsettled_since[client];
    unsettled = unsettled == kNever ? dirtied_at : std::max(unsettled, dirtied_at);
    event.resent = event.resent || event.client != client;
  }
}

void Reference::synced(int client, const std::string& name, Moment since) {
  const Moment moment = now();
  for (Event& event : files_[name].events) {
    if (event.acknowledged == kNever || event.settled != kNever) continue;
    Moment& unsettled = event.unsettled_since[client];
    if (unsettled <= since) unsettled = kNever;
    const bool settled =
        std::all_of(std::begin(event.unsettled_since), std::end(event.unsettled_since),
                    [](Moment m) { return m == kNever; });
    if (settled) event.settled = moment;
  }
}

void Reference::changed_on_server(int client, const std::string& name, std::uint64_t size,
                                  std::uint64_t call) {
  files_[name].sizes.push_back({size, client, call, now()});
}

Moment Reference::answered(std::uint64_t call) {
  const Moment moment = now();
  for (auto& [name, file] : files_) {
    for (auto it = file.sizes.rbegin(); it != file.sizes.rend(); ++it) {
      if (it->call == call) it->answered = moment;
    }
  }
  return moment;
}

void Reference::refreshed(int client, const std::string& name, Moment since) {
  Moment& refreshed = files_[name].refreshed[client];
  refreshed = std::max(refreshed, since);
}

// --- Which is older -----------------------------------------------------------------------------

bool Reference::older(const Event& first, const Event& second) {
  if (first.client == second.client && !first.resent) return first.acknowledged < second.began;
  return first.settled < second.began;
}

bool Reference::cut_by_own_truncation(const File& file, const Event& event) {
  return std::any_of(file.events.begin(), file.events.end(), [&](const Event& other) {
    return other.value == 0 && other.client == event.client && other.began < event.acknowledged &&
           event.began < other.acknowledged && other.range.overlaps(event.range);
  });
}

std::string Reference::describe(const Event& event) {
  if (event.client < 0) return "the file as it was at first";
  auto moment = [](Moment m) {
    return m == kNever ? std::string("never") : std::to_string(m);
  };
  const std::string what = event.value == 0
                               ? fmt::format("a truncation to {}", event.range.begin)
                               : fmt::format("write {} of {}", event.value, text_of(event.range));
  return fmt::format("{} by {} (began {}, acknowledged {}, settled {})", what,
                     name_of(event.client), event.began, moment(event.acknowledged),
                     moment(event.settled));
}

// --- What may be seen ---------------------------------------------------------------------------

template <class Accept>
bool Reference::comes_from(const File& file, std::uint64_t offset, std::uint8_t value,
                           Accept accept) {
  if (value != 0) {
    const Event& event = file.events[file.by_value[value]];
    const bool covers = event.value == value && event.range.contains({offset, offset + 1});
    return covers && accept(event);
  }
  return std::any_of(file.events.begin(), file.events.end(), [&](const Event& event) {
    return event.value == 0 && event.range.contains({offset, offset + 1}) && accept(event);
  });
}

template <class Check>
std::string Reference::for_each_run(const File& file, std::uint64_t offset, std::string_view bytes,
                                    Check check) {
  const std::uint64_t end = offset + bytes.size();
  for (std::uint64_t at = offset; at < end;) {
    const char value = bytes[at - offset];
    const std::size_t other = bytes.find_first_not_of(value, at - offset);
    std::uint64_t run_end = other == std::string_view::npos ? end : offset + other;
    for (const Event& event : file.events) {
      for (std::uint64_t edge : {event.range.begin, event.range.end}) {
        if (edge > at && edge < run_end) run_end = edge;
      }
    }
    std::string wrong = check(ByteRange{at, run_end}, static_cast<std::uint8_t>(value));
    if (!wrong.empty()) return wrong;
    at = run_end;
  }
  return {};
}

template <class MustSee>
std::string Reference::check_not_older(const File& file, std::uint64_t offset,
                                       std::string_view bytes, MustSee must_see) {
  return for_each_run(file, offset, bytes, [&](ByteRange run, std::uint8_t value) -> std::string {
    const Event* hidden = nullptr;
    const bool explained = comes_from(file, run.begin, value, [&](const Event& source) {
      for (const Event& event : file.events) {
        if (event.range.contains(run) && must_see(event) && older(source, event) &&
            (event.value == 0 || !cut_by_own_truncation(file, event))) {
          hidden = &event;
          return false;
        }
      }
      return true;
    });
    if (explained) return {};
    std::string wrong = fmt::format("bytes {} are {}", text_of(run), value);
    if (hidden == nullptr) return wrong + ", which nobody has written there";
    const Event& source = file.events[value == 0 ? 0 : file.by_value[value]];
    return fmt::format("{}: {}; but younger is {}", wrong,
                       value == 0 ? "a hole, or truncated away" : describe(source),
                       describe(*hidden));
  });
}

Reference::View Reference::begin_read(int client, const std::string& name) {
  return {now(), file_of(name).refreshed[client]};
}

std::string Reference::check_read(int client, const std::string& name, View view, ByteRange range,
                                  std::string_view bytes, bool old_end) const {
  const File& file = file_of(name);
  auto own = [&](const Event& e) {
    return e.client == client && e.acknowledged < view.since;
  };
  auto must_see = [&](const Event& e) {
    return own(e) || e.settled < view.refreshed;
  };
  std::string wrong = check_not_older(file, range.begin, bytes, must_see);
  if (!wrong.empty()) return wrong;
  // Beyond the end are holes.
  const std::string holes(range.size() - bytes.size(), '\0');
  const std::uint64_t end = range.begin + bytes.size();
  if (old_end) return check_not_older(file, end, holes, own);
  return check_not_older(file, end, holes, must_see);
}

bool Reference::may_be_cut(const File& file, const Event& event) {
  return std::any_of(file.events.begin(), file.events.end(), [&](const Event& other) {
    const bool is_truncation = other.value == 0 && other.client >= 0;
    return is_truncation && other.range.begin < event.range.end && !older(other, event);
  });
}

bool Reference::may_end_at(const File& file, int client, Moment since, std::uint64_t size) {
  if (!file.pages_sent[client].empty() && file.page_ends.contains(size)) return true;
  return std::any_of(file.events.begin(), file.events.end(), [&](const Event& event) {
    if (event.client != client || event.settled < since) return false;
    if (event.value == 0) return event.range.begin == size;
    // A write(2) comes page by page.
    const bool inside = event.range.begin < size && size < event.range.end;
    return event.range.end == size || (inside && size % kPage == 0);
  });
}

// Whether the client truncates the file, or has at `since` or later.
bool Reference::truncates(const File& file, int client, Moment since) {
  return std::any_of(file.events.begin(), file.events.end(), [&](const Event& event) {
    const bool over = event.failed || event.acknowledged < since;
    return event.value == 0 && event.client == client && !over;
  });
}

std::string Reference::check_stat(int client, const std::string& name, View view,
                                  std::uint64_t size, Moment told) const {
  const File& file = file_of(name);
  const ServerSize first{file.size_at_first, -1, 0, 0, 0};
  // The oldest size that may still be shown.
  auto oldest = file.sizes.end();
  for (auto it = file.sizes.begin(); it != file.sizes.end(); ++it) {
    if (it->client != client && it->answered < told) oldest = it;
  }
  const bool none = oldest == file.sizes.end();
  const ServerSize& seen = none ? first : *oldest;
  // After a short READ the kernel may take the beginning of a page for the end of the file.
  auto explains = [&](const ServerSize& state) {
    return state.size == size || (state.size < size && size % kPage == 0);
  };
  const bool explained =
      explains(seen) || std::any_of(none ? file.sizes.begin() : oldest, file.sizes.end(), explains);
  // While a truncation of its own is under way, the client shows the size that it knew before.
  const bool exempt = truncates(file, client, view.since);
  if (!explained && !exempt && !may_end_at(file, client, std::min(told, view.since), size)) {
    return fmt::format(
        "stat says {}; at moment {} the file ended at {} by a call of {}, answered {}", size,
        seen.changed, seen.size, name_of(seen.client), seen.answered);
  }
  for (const Event& event : file.events) {
    const bool own = event.value != 0 && event.client == client;
    if (!own || event.acknowledged >= view.since || size >= event.range.end) continue;
    if (!may_be_cut(file, event)) {
      return fmt::format("stat says {}, before the end of {}", size, describe(event));
    }
  }
  return {};
}

std::string Reference::check_beyond_end(int client, const std::string& name, View view,
                                        ByteRange range) const {
  const std::string hole(1, '\0');
  return check_not_older(file_of(name), range.end - 1, hole, [&](const Event& e) {
    return e.client == client && e.acknowledged < view.since;
  });
}

std::string Reference::check_settled(const std::string& name, const std::string& on_server) const {
  const File& file = file_of(name);
  std::string whole = on_server;
  std::uint64_t end = 0;
  for (const Event& event : file.events) {
    if (event.value != 0) end = std::max(end, event.range.end);
  }
  if (whole.size() < end) whole.resize(end, '\0');
  return check_not_older(file, 0, whole, [](const Event& e) { return e.settled != kNever; });
}

std::string Reference::check_stored(int client, const std::string& name, std::uint64_t offset,
                                    std::string_view bytes) {
  File& file = files_[name];
  const auto last = static_cast<std::uint8_t>(bytes.back());
  if (last != 0) {
    file.events[file.by_value[last]].stored_ends.insert(offset + bytes.size());
  }
  return for_each_run(file, offset, bytes, [&](ByteRange run, std::uint8_t value) -> std::string {
    const bool of_page = file.pages_sent[client].contains(run);
    if (value == 0 && of_page) return {};  // a hole in the page
    Event& source = file.events[file.by_value[value]];
    if (value == 0 || source.value != value || !source.range.contains(run)) {
      return fmt::format("{} sends {} for bytes {}, which nobody has written there",
                         name_of(client), value, text_of(run));
    }
    if (source.client != client && !of_page) {
      return fmt::format("{} sends bytes {} of {}, which are not its own", name_of(client),
                         text_of(run), describe(source));
    }
    for (const Event& event : file.events) {
      if (event.client == client && event.client == source.client && !event.failed &&
          event.stored.overlaps(run) && older(source, event)) {
        return fmt::format("{} sends bytes {} of {} after the server has had {}", name_of(client),
                           text_of(run), describe(source), describe(event));
      }
    }
    source.stored.add(run);
    return {};
  });
}

void Reference::truncated_on_server(int client, const std::string& name, std::uint64_t size) {
  // A client has only one truncation of a file under way, so it is the latest event that matches.
  auto& events = files_[name].events;
  auto it = std::find_if(events.rbegin(), events.rend(), [&](const Event& event) {
    return event.value == 0 && event.client == client && event.range.begin == size;
  });
  if (it != events.rend()) it->stored.add(it->range);
}

std::string Reference::check_kept(const std::string& name, const std::string& on_server,
                                  const HeldByClient& held) const {
  const File& file = file_of(name);
  // For each client, what would be on the server once the client has sent all that it holds.
  std::optional<std::string> will_be[kClients];
  for (const Event& event : file.events) {
    if (event.value == 0 || event.acknowledged == kNever || event.settled != kNever) continue;
    auto& bytes = will_be[event.client];
    if (!bytes) bytes = overlay(on_server, held(event.client, name));
    if (bytes->size() < event.range.end) bytes->resize(event.range.end, '\0');
    const std::string there = bytes->substr(event.range.begin, event.range.size());
    std::string wrong = check_not_older(file, event.range.begin, there,
                                        [&](const Event& e) { return &e == &event; });
    if (!wrong.empty()) return "lost: " + wrong;
  }
  return {};
}

std::string Reference::check_let_go(int client, const std::string& name, Moment since,
                                    const std::vector<Piece>& held) const {
  const File& file = file_of(name);
  for (const Piece& piece : held) {
    std::string wrong = for_each_run(
        file, piece.offset, piece.bytes, [&](ByteRange run, std::uint8_t value) -> std::string {
          const Event& event = file.events[file.by_value[value]];
          const bool is_its = value != 0 && event.value == value && event.client == client;
          // A write(2) that has not returned may reach the client after the invalidation has passed
          // the folio.
          const bool is_older = event.unsettled_since[client] < since && event.acknowledged < since;
          if (!is_its || !is_older) return {};
          return fmt::format("kept, and not said so: bytes {} of {}", text_of(run),
                             describe(event));
        });
    if (!wrong.empty()) return wrong;
  }
  return {};
}

// The size must be the initial one, or one that a WRITE or a truncation has set, and no younger
// truncation may have changed it.
std::string Reference::check_size(const std::string& name, std::uint64_t size) const {
  const File& file = file_of(name);
  auto is_truncation = [](const Event& e) {
    return e.value == 0 && e.client >= 0;
  };
  auto undone = [&](const Event& event) {
    return std::any_of(file.events.begin(), file.events.end(), [&](const Event& other) {
      // A truncation below `size` moves the end. One beyond it does so if `size` is no write's end.
      const bool moves =
          other.range.begin < size || (event.value == 0 && other.range.begin != size);
      return is_truncation(other) && other.acknowledged != kNever && moves && older(event, other);
    });
  };
  bool explained = file.page_ends.contains(size);
  for (const Event& event : file.events) {
    const std::uint64_t end = is_truncation(event) ? event.range.begin : file.size_at_first;
    const bool ended_there = event.value == 0 ? end == size : event.stored_ends.contains(size);
    explained = explained || (ended_there && !undone(event));
    if (event.value != 0 && event.settled != kNever && size < event.range.end &&
        !may_be_cut(file, event)) {
      return fmt::format("the file ends at {}, before {}", size, describe(event));
    }
  }
  if (explained) return {};
  return fmt::format("the file ends at {}, which no write and no truncation explains", size);
}

}  // namespace foliofs::sim
