// WaitGraph: who waits for whom, so that a deadlock is reported as one.
//
// Nodes are activities ("A: read f0 [0, 8)") and things that can be held ("page 3 of f0 at A"). An
// activity waits for one thing at a time; a thing is held by an activity. The graph does not see
// inside a client's core. So a request that the core has not answered counts as waiting for the
// notifications that the core waits for on the same file, because an invalidation that waits for
// them may hold a gate or a folio.
#pragma once

#include <list>
#include <map>
#include <string>

namespace foliofs::sim {

class WaitGraph {
 public:
  // `who` waits for `whom` for as long as this object exists.
  class Edge {
   public:
    Edge(WaitGraph& graph, std::string who, std::string whom) : graph_(graph) {
      at_ = graph_.edges_.insert(graph_.edges_.end(), {std::move(who), std::move(whom)});
    }
    ~Edge() { graph_.edges_.erase(at_); }
    Edge(const Edge&) = delete;
    Edge& operator=(const Edge&) = delete;

   private:
    WaitGraph& graph_;
    std::list<std::pair<std::string, std::string>>::iterator at_;
  };

  // The edges, one on each line, and a cycle of them if there is one.
  std::string describe() const;

 private:
  // The nodes of a cycle, in order; empty when there is none.
  std::list<std::string> cycle() const;

  std::list<std::pair<std::string, std::string>> edges_;
};

}  // namespace foliofs::sim
