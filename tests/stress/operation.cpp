#include "operation.h"

#include <random>

namespace foliofs::stress {

namespace {

struct Share {
  Kind kind;
  int weight;
};

constexpr Share kShares[] = {
    {Kind::kRead, 16},       {Kind::kWrite, 18},   {Kind::kAppend, 6}, {Kind::kMappedLoad, 6},
    {Kind::kMappedStore, 8}, {Kind::kTruncate, 7}, {Kind::kPunch, 5},  {Kind::kZero, 4},
    {Kind::kAllocate, 3},    {Kind::kCopy, 6},     {Kind::kSeek, 3},   {Kind::kSync, 1},
    {Kind::kStat, 4},        {Kind::kReopen, 3},   {Kind::kSwitch, 4}, {Kind::kCompare, 2},
};

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kRead:
      return "read";
    case Kind::kWrite:
      return "write";
    case Kind::kAppend:
      return "append";
    case Kind::kMappedLoad:
      return "mapped load";
    case Kind::kMappedStore:
      return "mapped store";
    case Kind::kTruncate:
      return "truncate to";
    case Kind::kPunch:
      return "punch";
    case Kind::kZero:
      return "zero";
    case Kind::kAllocate:
      return "allocate";
    case Kind::kCopy:
      return "copy";
    case Kind::kSeek:
      return "seek";
    case Kind::kSync:
      return "sync";
    case Kind::kStat:
      return "stat";
    case Kind::kReopen:
      return "close and open";
    case Kind::kSwitch:
      return "close, open on the other mount";
    case Kind::kCompare:
      return "compare all";
  }
  return "?";
}

const char* name_of(Through through) {
  switch (through) {
    case Through::kCached:
      return "";
    case Through::kDirect:
      return " O_DIRECT";
    case Through::kSynchronous:
      return " O_SYNC";
  }
  return "?";
}

}  // namespace

std::vector<Operation> generate(std::uint64_t seed, std::size_t count, const Bounds& bounds) {
  std::mt19937_64 random(seed);
  auto below = [&](std::uint64_t end) {
    return random() % end;
  };
  // Half of all numbers are at a page boundary or next to one.
  auto number = [&](std::uint64_t most) {
    std::uint64_t value = below(most + 1);
    if (below(2) == 0) value = value / 4096 * 4096 + below(3);
    if (below(4) == 0 && value > 0) --value;
    return value < most ? value : most;
  };
  int weights = 0;
  for (const Share& share : kShares) weights += share.weight;

  std::vector<Operation> operations;
  while (operations.size() < count) {
    int at = static_cast<int>(below(static_cast<std::uint64_t>(weights)));
    const Share* share = kShares;
    while (at >= share->weight) at -= (share++)->weight;
    Operation operation;
    operation.kind = share->kind;
    if (operation.kind == Kind::kSwitch && !bounds.two_mounts) continue;
    // Few calls are synchronous: waiting for the server's disk would take most of the time.
    if (below(4) == 0) operation.through = Through::kDirect;
    if (below(40) == 0) operation.through = Through::kSynchronous;
    operation.file = static_cast<int>(below(2));
    operation.flag = below(2) == 0;
    operation.offset = number(bounds.file_bytes - 1);
    operation.length = 1 + number(below(4) == 0 ? bounds.call_bytes - 1 : 5000);
    operation.to = number(bounds.file_bytes - 1);
    operation.pattern = static_cast<std::uint32_t>(below(251));
    operations.push_back(operation);
  }
  return operations;
}

std::string describe(const Operation& operation) {
  const std::string where =
      std::to_string(operation.offset) + "+" + std::to_string(operation.length);
  std::string text =
      std::string(name_of(operation.kind)) + " file " + std::to_string(operation.file);
  switch (operation.kind) {
    case Kind::kRead:
      return text + " " + where + name_of(operation.through);
    case Kind::kWrite:
      return text + " " + where + name_of(operation.through) + " pattern " +
             std::to_string(operation.pattern);
    case Kind::kAppend:
      return text + " +" + std::to_string(operation.length) + " pattern " +
             std::to_string(operation.pattern);
    case Kind::kMappedLoad:
      return text + " " + where;
    case Kind::kMappedStore:
      return text + " " + where + (operation.flag ? " msync" : "") + " pattern " +
             std::to_string(operation.pattern);
    case Kind::kTruncate:
      return text + " " + std::to_string(operation.offset);
    case Kind::kPunch:
      return text + " " + where;
    case Kind::kZero:
    case Kind::kAllocate:
      return text + " " + where + (operation.flag ? " KEEP_SIZE" : "");
    case Kind::kCopy:
      return text + " " + where + " to file " +
             std::to_string(operation.flag ? 1 - operation.file : operation.file) + " " +
             std::to_string(operation.to);
    case Kind::kSeek:
      return text + (operation.flag ? " SEEK_DATA " : " SEEK_HOLE ") +
             std::to_string(operation.offset);
    case Kind::kSync:
      return text + (operation.flag ? " data only" : "");
    case Kind::kStat:
    case Kind::kReopen:
    case Kind::kSwitch:
    case Kind::kCompare:
      return text;
  }
  return text;
}

}  // namespace foliofs::stress
