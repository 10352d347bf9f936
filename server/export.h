// An export: a directory tree that the server offers under a name, and its rules.
#pragma once

#include <memory>
#include <string>

#include "server/blocking_pool.h"
#include "server/disk_watch.h"
#include "server/file_store.h"
#include "server/identity.h"
#include "server/leases.h"
#include "server/lock_table.h"

namespace foliofs::server {

struct ExportOptions {
  std::string name;
  std::string path;
  bool read_only = false;
  SquashRule squash;
  bool leases = true;
  // Nothing but this server changes the tree, so the disk need not be watched.
  bool sole = false;
};

// Variables of this type are called `share`: `export` is a keyword.
struct Export {
  ExportOptions options;
  // Declared before the store, because the store's files refer to it.
  std::unique_ptr<LeaseGate> leases = std::make_unique<LeaseGate>();
  std::unique_ptr<FileStore> store;
  std::unique_ptr<BlockingPool> pool;  // runs calls on `store` that would keep a loop waiting
  std::unique_ptr<LockTable> locks = std::make_unique<LockTable>();
  std::unique_ptr<DiskWatch> watch = nullptr;  // while leases may be given
};

}  // namespace foliofs::server
