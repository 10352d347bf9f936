// Tester: makes operations on two files of one or two mounts, and on strings that hold what the
// files must contain. It makes one call at a time; what runs concurrently are the filesystem's
// writeback, the kernel, and invalidations from outside.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>

#include "operation.h"

namespace foliofs::stress {

struct Failure {
  std::size_t at = 0;  // index of the operation
  std::string what;
};

class Tester {
 public:
  // `directories`: the same directory on one or two mounts. `tag` makes the files' names unique.
  Tester(std::vector<std::string> directories, const std::string& tag);
  ~Tester();
  Tester(const Tester&) = delete;
  Tester& operator=(const Tester&) = delete;

  // Returns the first operation that went wrong. Compares the whole files at the end.
  std::optional<Failure> run(std::span<const Operation> operations, std::uint64_t most_bytes);

  std::string path(int file) const { return path(file, mount_); }
  // Operations that the filesystem does not support: those that failed with EOPNOTSUPP.
  std::uint64_t refused() const { return refused_; }

 private:
  static constexpr int kFiles = 2;
  enum Descriptor { kCached, kDirect, kSynchronous, kAppending, kDescriptors };
  // Empty if all is well, else what is wrong.
  using Verdict = std::string;

  std::string path(int file, std::size_t mount) const;
  Verdict open_all();
  Verdict close_all();
  Verdict apply(const Operation& operation);
  Verdict read(const Operation& operation);
  Verdict write(const Operation& operation);
  Verdict append(const Operation& operation);
  Verdict mapped(const Operation& operation);
  Verdict truncate(const Operation& operation);
  Verdict allocate(const Operation& operation);
  Verdict copy(const Operation& operation);
  Verdict seek(const Operation& operation);
  Verdict stat(int file);
  Verdict compare_all();
  Verdict read_and_compare(int file, Descriptor descriptor, std::uint64_t offset,
                           std::uint64_t length);
  Verdict compare(int file, std::uint64_t offset, std::span<const char> found) const;
  int descriptor(const Operation& operation) const;
  std::string fill(std::uint64_t offset, std::uint64_t length, std::uint32_t pattern) const;
  void expect(int file, std::uint64_t offset, const std::string& bytes);

  const std::vector<std::string> directories_;
  const std::string tag_;
  std::uint64_t most_bytes_ = 0;
  std::size_t mount_ = 0;
  std::array<std::array<int, kDescriptors>, kFiles> open_;
  std::array<std::string, kFiles> expected_;
  std::uint64_t refused_ = 0;
};

}  // namespace foliofs::stress
