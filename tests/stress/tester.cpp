#include "tester.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace foliofs::stress {

namespace {

std::string failed(const char* call) {
  return std::string(call) + ": " + strerrorname_np(errno);
}

std::uint64_t page_down(std::uint64_t offset) {
  return offset / 4096 * 4096;
}

}  // namespace

Tester::Tester(std::vector<std::string> directories, const std::string& tag)
    : directories_(std::move(directories)), tag_(tag) {
  for (auto& descriptors : open_) descriptors.fill(-1);
}

Tester::~Tester() {
  (void)close_all();
  for (int file = 0; file < kFiles; ++file) ::unlink(path(file).c_str());
}

std::string Tester::path(int file, std::size_t mount) const {
  return directories_[mount] + "/" + tag_ + "." + std::to_string(file);
}

Tester::Verdict Tester::open_all() {
  static constexpr int kFlags[kDescriptors] = {0, O_DIRECT, O_SYNC, O_APPEND};
  for (int file = 0; file < kFiles; ++file) {
    for (int i = 0; i < kDescriptors; ++i) {
      open_[file][i] = ::open(path(file).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | kFlags[i], 0644);
      if (open_[file][i] < 0) return failed("open");
    }
  }
  return {};
}

Tester::Verdict Tester::close_all() {
  Verdict verdict;
  for (auto& descriptors : open_) {
    for (int& fd : descriptors) {
      if (fd >= 0 && ::close(fd) != 0) verdict = failed("close");
      fd = -1;
    }
  }
  return verdict;
}

std::optional<Failure> Tester::run(std::span<const Operation> operations,
                                   std::uint64_t most_bytes) {
  most_bytes_ = most_bytes;
  Verdict verdict = open_all();
  std::size_t at = 0;
  for (; verdict.empty() && at < operations.size(); ++at) verdict = apply(operations[at]);
  if (verdict.empty()) verdict = compare_all();
  if (verdict.empty()) verdict = close_all();
  if (verdict.empty()) return std::nullopt;
  return Failure{at == 0 ? 0 : at - 1, verdict};
}

Tester::Verdict Tester::apply(const Operation& operation) {
  switch (operation.kind) {
    case Kind::kRead:
      return read(operation);
    case Kind::kWrite:
      return write(operation);
    case Kind::kAppend:
      return append(operation);
    case Kind::kMappedLoad:
    case Kind::kMappedStore:
      return mapped(operation);
    case Kind::kTruncate:
      return truncate(operation);
    case Kind::kPunch:
    case Kind::kZero:
    case Kind::kAllocate:
      return allocate(operation);
    case Kind::kCopy:
      return copy(operation);
    case Kind::kSeek:
      return seek(operation);
    case Kind::kSync: {
      const int fd = descriptor(operation);
      return (operation.flag ? ::fdatasync(fd) : ::fsync(fd)) == 0 ? "" : failed("fsync");
    }
    case Kind::kStat:
      return stat(operation.file);
    case Kind::kReopen:
    case Kind::kSwitch: {
      Verdict verdict = close_all();
      if (operation.kind == Kind::kSwitch) mount_ = 1 - mount_;
      return verdict.empty() ? open_all() : verdict;
    }
    case Kind::kCompare:
      return compare_all();
  }
  return "unknown operation";
}

int Tester::descriptor(const Operation& operation) const {
  return open_[operation.file][static_cast<int>(operation.through)];
}

// Bytes that depend on the pattern and the offset, and are never 0.
std::string Tester::fill(std::uint64_t offset, std::uint64_t length, std::uint32_t pattern) const {
  std::string bytes(length, '\0');
  for (std::uint64_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<char>(1 + (pattern * 37 + offset + i) % 251);
  }
  return bytes;
}

void Tester::expect(int file, std::uint64_t offset, const std::string& bytes) {
  std::string& expected = expected_[file];
  if (expected.size() < offset + bytes.size()) expected.resize(offset + bytes.size(), '\0');
  expected.replace(offset, bytes.size(), bytes);
}

// --- Reading ------------------------------------------------------------------------------------

Tester::Verdict Tester::compare(int file, std::uint64_t offset, std::span<const char> found) const {
  const std::string& expected = expected_[file];
  const std::uint64_t begin = std::min<std::uint64_t>(offset, expected.size());
  const char* want = expected.data() + begin;
  if (std::memcmp(want, found.data(), found.size()) == 0) return {};
  const auto differ = std::mismatch(found.begin(), found.end(), want);
  const auto at = static_cast<std::uint64_t>(differ.first - found.begin());
  auto number = [](char byte) {
    return std::to_string(static_cast<unsigned char>(byte));
  };
  return "file " + std::to_string(file) + " of " + std::to_string(expected.size()) + " bytes has " +
         number(*differ.first) + " at " + std::to_string(offset + at) + " and not " +
         number(*differ.second);
}

Tester::Verdict Tester::read_and_compare(int file, Descriptor through, std::uint64_t offset,
                                         std::uint64_t length) {
  void* memory = nullptr;
  if (::posix_memalign(&memory, 4096, length + 4096) != 0) return "no memory";
  const std::unique_ptr<void, decltype(&std::free)> owner(memory, &std::free);
  auto* bytes = static_cast<char*>(memory);
  const ssize_t got = ::pread(open_[file][through], bytes, length, static_cast<off_t>(offset));
  if (got < 0) return failed("pread");
  const std::uint64_t size = expected_[file].size();
  const std::uint64_t want = offset >= size ? 0 : std::min(length, size - offset);
  if (static_cast<std::uint64_t>(got) != want) {
    return "pread of file " + std::to_string(file) + " gives " + std::to_string(got) +
           " bytes and not " + std::to_string(want) + " (the file has " + std::to_string(size) +
           ")";
  }
  return compare(file, offset, {bytes, want});
}

Tester::Verdict Tester::read(const Operation& operation) {
  return read_and_compare(operation.file, static_cast<Descriptor>(operation.through),
                          operation.offset, operation.length);
}

Tester::Verdict Tester::compare_all() {
  for (int file = 0; file < kFiles; ++file) {
    Verdict verdict = stat(file);
    if (verdict.empty()) verdict = read_and_compare(file, kCached, 0, most_bytes_ + 4096);
    if (!verdict.empty()) return verdict;
  }
  return {};
}

Tester::Verdict Tester::stat(int file) {
  struct stat by_path {};
  struct stat by_file {};
  if (::stat(path(file).c_str(), &by_path) != 0) return failed("stat");
  if (::fstat(open_[file][kCached], &by_file) != 0) return failed("fstat");
  const auto size = static_cast<off_t>(expected_[file].size());
  if (by_path.st_size == size && by_file.st_size == size) return {};
  return "file " + std::to_string(file) + " has " + std::to_string(by_path.st_size) +
         " bytes by stat, " + std::to_string(by_file.st_size) + " by fstat, and not " +
         std::to_string(size);
}

Tester::Verdict Tester::seek(const Operation& operation) {
  const std::string& expected = expected_[operation.file];
  const int how = operation.flag ? SEEK_DATA : SEEK_HOLE;
  const off_t found = ::lseek(descriptor(operation), static_cast<off_t>(operation.offset), how);
  if (found < 0 && errno != ENXIO) return failed("lseek");
  if (operation.offset >= expected.size()) {
    return found < 0 ? "" : "lseek behind the end gives " + std::to_string(found);
  }
  if (found < 0 && how == SEEK_HOLE) return "there is a hole at every end: ENXIO";
  const auto to = found < 0 ? expected.size() : static_cast<std::uint64_t>(found);
  if (to < operation.offset || to > expected.size()) return "lseek gives " + std::to_string(found);
  // The bytes that SEEK_DATA skips must be zeros; a filesystem may treat zeros as data.
  const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(operation.offset);
  const auto end = expected.begin() + static_cast<std::ptrdiff_t>(to);
  const bool zeros = std::all_of(begin, end, [](char byte) { return byte == 0; });
  if (how == SEEK_DATA && !zeros) return "SEEK_DATA passes data, to " + std::to_string(to);
  if (how == SEEK_HOLE && to < expected.size() && expected[to] != 0) {
    return "SEEK_HOLE finds data at " + std::to_string(to);
  }
  return {};
}

// --- Changing -----------------------------------------------------------------------------------

Tester::Verdict Tester::write(const Operation& operation) {
  const std::uint64_t length = std::min(operation.length, most_bytes_ - operation.offset);
  const std::string bytes = fill(operation.offset, length, operation.pattern);
  const ssize_t put =
      ::pwrite(descriptor(operation), bytes.data(), length, static_cast<off_t>(operation.offset));
  if (put < 0) return failed("pwrite");
  if (static_cast<std::uint64_t>(put) != length) return "pwrite: " + std::to_string(put) + " bytes";
  expect(operation.file, operation.offset, bytes);
  return {};
}

Tester::Verdict Tester::append(const Operation& operation) {
  const std::uint64_t end = expected_[operation.file].size();
  const std::uint64_t length = std::min(operation.length, most_bytes_ - std::min(end, most_bytes_));
  if (length == 0) return {};
  const std::string bytes = fill(end, length, operation.pattern);
  const ssize_t put = ::write(open_[operation.file][kAppending], bytes.data(), length);
  if (put < 0) return failed("append");
  if (static_cast<std::uint64_t>(put) != length) return "append: " + std::to_string(put) + " bytes";
  expect(operation.file, end, bytes);
  return {};
}

// Accesses a mapping only up to the end of the file: a store beyond it is undefined in the last
// page, and a SIGBUS after that page.
Tester::Verdict Tester::mapped(const Operation& operation) {
  const std::uint64_t size = expected_[operation.file].size();
  if (operation.offset >= size) return {};
  const std::uint64_t length = std::min(operation.length, size - operation.offset);
  const std::uint64_t begin = page_down(operation.offset);
  const std::uint64_t bytes_mapped = operation.offset + length - begin;
  void* base = ::mmap(nullptr, bytes_mapped, PROT_READ | PROT_WRITE, MAP_SHARED,
                      open_[operation.file][kCached], static_cast<off_t>(begin));
  if (base == MAP_FAILED) return failed("mmap");
  char* at = static_cast<char*>(base) + (operation.offset - begin);
  Verdict verdict = compare(operation.file, operation.offset, {at, length});
  if (verdict.empty() && operation.kind == Kind::kMappedStore) {
    const std::string bytes = fill(operation.offset, length, operation.pattern);
    std::memcpy(at, bytes.data(), length);
    expect(operation.file, operation.offset, bytes);
    if (operation.flag && ::msync(base, bytes_mapped, MS_SYNC) != 0) verdict = failed("msync");
  }
  ::munmap(base, bytes_mapped);
  return verdict;
}

Tester::Verdict Tester::truncate(const Operation& operation) {
  if (::ftruncate(descriptor(operation), static_cast<off_t>(operation.offset)) != 0) {
    return failed("ftruncate");
  }
  expected_[operation.file].resize(operation.offset, '\0');
  return {};
}

Tester::Verdict Tester::allocate(const Operation& operation) {
  const std::uint64_t length = std::min(operation.length, most_bytes_ - operation.offset);
  const bool keep = operation.flag || operation.kind == Kind::kPunch;
  int mode = keep ? FALLOC_FL_KEEP_SIZE : 0;
  if (operation.kind == Kind::kPunch) mode |= FALLOC_FL_PUNCH_HOLE;
  if (operation.kind == Kind::kZero) mode |= FALLOC_FL_ZERO_RANGE;
  if (::fallocate(descriptor(operation), mode, static_cast<off_t>(operation.offset),
                  static_cast<off_t>(length)) != 0) {
    if (errno != EOPNOTSUPP) return failed("fallocate");
    ++refused_;
    return {};
  }
  std::string& expected = expected_[operation.file];
  const std::uint64_t end = operation.offset + length;
  if (!keep && expected.size() < end) expected.resize(end, '\0');
  if (operation.kind == Kind::kAllocate || operation.offset >= expected.size()) return {};
  const std::uint64_t cleared = std::min<std::uint64_t>(end, expected.size()) - operation.offset;
  expected.replace(operation.offset, cleared, cleared, '\0');
  return {};
}

Tester::Verdict Tester::copy(const Operation& operation) {
  const int target = operation.flag ? 1 - operation.file : operation.file;
  const std::string& source = expected_[operation.file];
  if (operation.offset >= source.size()) return {};
  std::uint64_t length = std::min(operation.length, most_bytes_ - operation.to);
  length = std::min(length, source.size() - operation.offset);
  const bool overlap = target == operation.file && operation.offset < operation.to + length &&
                       operation.to < operation.offset + length;
  auto in = static_cast<off64_t>(operation.offset);
  auto out = static_cast<off64_t>(operation.to);
  std::uint64_t copied = 0;
  while (copied < length) {
    const ssize_t got = ::copy_file_range(open_[operation.file][kCached], &in,
                                          open_[target][kCached], &out, length - copied, 0);
    if (got < 0 && overlap && errno == EINVAL) return {};
    if (got < 0) return failed("copy_file_range");
    if (got == 0) return "copy_file_range ends after " + std::to_string(copied) + " bytes";
    copied += static_cast<std::uint64_t>(got);
  }
  if (overlap) return "copy_file_range takes ranges that overlap";
  expect(target, operation.to, source.substr(operation.offset, length));
  return {};
}

}  // namespace foliofs::stress
