#include "tests/sim/wait_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

namespace foliofs::sim {

std::list<std::string> WaitGraph::cycle() const {
  std::set<std::string> done;
  std::list<std::string> path;
  std::function<bool(const std::string&)> visit = [&](const std::string& node) {
    if (auto found = std::find(path.begin(), path.end(), node); found != path.end()) {
      path.erase(path.begin(), found);
      return true;
    }
    if (!done.insert(node).second) return false;
    path.push_back(node);
    for (const auto& [who, whom] : edges_) {
      if (who == node && visit(whom)) return true;
    }
    path.pop_back();
    return false;
  };
  for (const auto& edge : edges_) {
    if (visit(edge.first)) return path;
  }
  return {};
}

std::string WaitGraph::describe() const {
  std::string text;
  for (const auto& [who, whom] : edges_) text += fmt::format("  {} waits for {}\n", who, whom);
  const auto nodes = cycle();
  if (nodes.empty()) return text + "  no cycle: somebody has not been woken\n";
  text += "  deadlock: ";
  for (const std::string& node : nodes) text += node + " -> ";
  return text + nodes.front() + "\n";
}

}  // namespace foliofs::sim
