// ReplySink: where a session's replies go.
#pragma once

#include <memory>

#include "server/reply.h"

namespace foliofs::server {

// A connection, as its session sees it. Both calls may come from any thread and do not block.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void deliver(Outgoing frame) = 0;
  // Close: another connection takes over the session, or needs this one's place.
  virtual void fence() = 0;
};

using SinkRef = std::shared_ptr<ReplySink>;

}  // namespace foliofs::server
