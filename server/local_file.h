// LocalFile: the OpenFile of the local store.
#pragma once

#include <mutex>
#include <utility>

#include "foliofs/base/unique_fd.h"
#include "server/file_store.h"
#include "server/node_table.h"
#include "server/write_stream.h"

namespace foliofs::server {

class LocalFile final : public OpenFile {
 public:
  LocalFile(UniqueFd fd, NodeRef node, NodeTable& nodes, bool has_made_it)
      : fd_(std::move(fd)), node_(std::move(node)), nodes_(nodes), has_made_it_(has_made_it) {
    nodes_.opened(*node_);
  }
  ~LocalFile() override { nodes_.closed(*node_); }
  LocalFile(const LocalFile&) = delete;
  LocalFile& operator=(const LocalFile&) = delete;

  bool slow_to_close() const override;
  FileId id() const override { return node_->id; }
  int fd() const { return fd_.get(); }
  Inode& inode() const { return *node_->inode; }
  const Node& node() const { return *node_; }
  // Whether the call that opened the file also created it.
  bool has_made_it() const { return has_made_it_; }
  // Held while the descriptor's file position is used.
  std::mutex& position_mutex() { return position_mutex_; }
  // The file's write stream, for early writeout.
  WriteStream& stream() { return stream_; }

 private:
  const UniqueFd fd_;
  const NodeRef node_;
  NodeTable& nodes_;
  const bool has_made_it_;
  std::mutex position_mutex_;
  WriteStream stream_;
};

}  // namespace foliofs::server
