// An export: a tree that the server offers under a name, and the rules for it.
#pragma once

#include <memory>
#include <string>

#include "server/file_store.h"
#include "server/identity.h"
#include "server/lane.h"
#include "server/lock_table.h"

namespace foliofs::server {

struct ExportOptions {
  std::string name;
  std::string path;
  bool read_only = false;
  SquashRule squash;
};

struct Export {
  ExportOptions options;
  std::unique_ptr<FileStore> store;
  std::unique_ptr<Lane> lane;  // where calls on `store` run that would keep a loop waiting
  std::unique_ptr<LockTable> locks = std::make_unique<LockTable>();
};

}  // namespace foliofs::server
