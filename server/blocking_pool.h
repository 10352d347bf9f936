// BlockingPool: the threads of one export, for calls that would keep a loop waiting.
//
// Each export has its own pool, so that an export whose disk hangs takes no threads from the
// others. A pool also knows whether it runs a call that other calls may have to wait for (for the
// journal that a COMMIT writes, or for the directory that an UNLINK holds). While it does, those
// other calls should not wait on a loop; while it does not, a loop finishes them sooner than a
// thread of the pool would wake up.
#pragma once

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <utility>
#include <vector>

namespace foliofs::server {

// Thread-safe.
class BlockingPool {
 public:
  // Says that the pool has a call which others may have to wait for, until end() or the end of this
  // object. Must not outlive the pool.
  class Blocker {
   public:
    Blocker() = default;  // says nothing
    explicit Blocker(BlockingPool& pool) : pool_(&pool) { ++pool.blockers_; }
    Blocker(Blocker&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
    Blocker& operator=(Blocker&&) = delete;
    ~Blocker() { end(); }

    // Harmless when repeated.
    void end() {
      if (BlockingPool* pool = std::exchange(pool_, nullptr)) --pool->blockers_;
    }

   private:
    BlockingPool* pool_ = nullptr;
  };

  explicit BlockingPool(std::size_t threads) : pool_(threads) {
    for (std::size_t i = 0; i < kStrands; ++i) strands_.emplace_back(pool_.get_executor());
  }

  template <class Work>
  void post(Work work) {
    boost::asio::post(pool_, std::move(work));
  }
  // Like post(), for calls that would only wait for each other, as writers of one file do for its
  // lock: calls with the same `key` run one after the other and so occupy one thread. Calls with
  // different keys may run at the same time, but may also share a thread.
  template <class Work>
  void post_in_turn(std::uint64_t key, Work work) {
    boost::asio::post(strands_[key % kStrands], std::move(work));
  }
  bool has_blockers() const { return blockers_.load(std::memory_order_relaxed) > 0; }
  // Waits until all posted work is done; nothing may be posted any more.
  void join() { pool_.join(); }

 private:
  static constexpr std::size_t kStrands = 64;

  std::atomic<unsigned> blockers_{0};
  boost::asio::thread_pool pool_;
  std::vector<boost::asio::strand<boost::asio::thread_pool::executor_type>> strands_;
};

}  // namespace foliofs::server
