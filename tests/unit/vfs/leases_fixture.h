// A mount whose server gives leases, and helpers for tests of leases.
#pragma once

#include "src/vfs/leases.h"
#include "tests/unit/vfs/fixture.h"

namespace foliofs::test {

class LeasesTest : public VfsTest {
 protected:
  static constexpr Duration kBelieved = vfs::Leases::kBelieved;
  static constexpr Duration kLong = std::chrono::hours(1);

  LeasesTest() {
    wants_leases_ = true;
    server_.gives_leases = true;
  }

  // Handles a LOOKUP as from the kernel. "known" and "none" are answered from memory.
  std::string find(const std::string& name, Node parent = vfs::kRootNode) {
    if (auto known = ops().try_lookup(parent, name)) return known->node == 0 ? "none" : "known";
    auto entry = loop_.run(ops().lookup(call(), parent, name));
    if (!entry) return errno_name(entry.error());
    return entry.value().node == 0 ? "absent" : "found";
  }
  bool is_known(Node node) { return ops().try_getattr(node, true).has_value(); }
  Duration attribute_timeout(Node node) { return ops().attribute_timeout_us(node); }
  Node mkdir(const std::string& name, Node parent = vfs::kRootNode) {
    auto made = loop_.run(ops().mkdir(call(), parent, name, 0755));
    EXPECT_TRUE(made);
    return made ? made.value().node : 0;
  }
  // Lists a whole directory with attributes, as the kernel does.
  vfs::DirectoryEntries list(Node node = vfs::kRootNode) {
    auto directory = ops().open_directory(node).value().directory;
    auto read = loop_.run(ops().read_directory(call(), directory, 0, true)).value();
    ops().release_directory(directory.get());
    return read;
  }

  bool returned(std::uint64_t recall) const {
    return std::any_of(server_.returned.begin(), server_.returned.end(), [&](const auto& one) {
      return std::find(one.recalls.begin(), one.recalls.end(), recall) != one.recalls.end();
    });
  }
  std::size_t returned_everything() const {
    return static_cast<std::size_t>(std::count_if(server_.returned.begin(), server_.returned.end(),
                                                  [](const auto& one) { return one.everything; }));
  }
  bool is_expired(Node node) const { return std::ranges::count(kernel_.expired, node) != 0; }
  std::size_t expired(const std::string& name) const {
    return static_cast<std::size_t>(
        std::count_if(kernel_.expired_names.begin(), kernel_.expired_names.end(),
                      [&](const auto& one) { return one.name == name; }));
  }
};

// Helpers that change and look up names of the root.
class LeasedNamesTest : public LeasesTest {
 protected:
  // Another client renames a file of the root; the test decides whether the lease is recalled.
  void rename_there(const std::string& from, const std::string& to) {
    ServerFile& root = server_.root();
    root.names[to] = root.names.at(from);
    root.names.erase(from);
    ++root.foreign_changes;
  }
  Status rename(const std::string& from, const std::string& to, Node new_parent = vfs::kRootNode,
                std::uint32_t flags = 0) {
    return loop_.run(ops().rename(call(), vfs::kRootNode, from, new_parent, to, flags));
  }
  Status unlink(const std::string& name) {
    return loop_.run(ops().unlink(call(), vfs::kRootNode, name, false));
  }
  // Begins a listing that gets no reply before server_.release().
  auto start_listing(vfs::OpenDirectoryRef directory) {
    server_.hold_replies(MessageType::kReadDir);
    auto reading = loop_.start(ops().read_directory(call(), std::move(directory), 0, true));
    until([&] { return server_.waiting == 1; });
    return reading;
  }
  std::shared_ptr<std::optional<Result<vfs::Entry>>> start_lookup(const std::string& name) {
    return loop_.start(ops().lookup(call(), vfs::kRootNode, name));
  }
};

}  // namespace foliofs::test
