// Lane: the threads of one export, for calls that would keep a loop waiting.
//
// Each export has its own, so that one whose disk hangs takes no thread from the others. A lane
// also knows whether it is occupied: whether a call runs in it that others may have to wait for
// (for the journal that a COMMIT writes, or the directory that an UNLINK holds). Such others had
// better not do so on a loop, while in a lane that is not occupied they are done sooner than a
// thread wakes up.
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
class Lane {
 public:
  // The lane is occupied for as long as one of these is not over. Must not outlive the lane.
  class Occupation {
   public:
    Occupation() = default;
    explicit Occupation(Lane& lane) : lane_(&lane) { ++lane.occupations_; }
    Occupation(Occupation&& other) noexcept : lane_(std::exchange(other.lane_, nullptr)) {}
    Occupation& operator=(Occupation&&) = delete;
    ~Occupation() { end(); }

    void end() {
      if (Lane* lane = std::exchange(lane_, nullptr)) --lane->occupations_;
    }

   private:
    Lane* lane_ = nullptr;
  };

  explicit Lane(std::size_t threads) : pool_(threads) {
    for (std::size_t i = 0; i < kTurns; ++i) turns_.emplace_back(pool_.get_executor());
  }

  template <class Work>
  void post(Work work) {
    boost::asio::post(pool_, std::move(work));
  }
  // The same for calls that would only wait for each other, as writers of one file do for its lock:
  // those with the same `key` take one thread, one after the other. So may others.
  template <class Work>
  void post_in_turn(std::uint64_t key, Work work) {
    boost::asio::post(turns_[key % kTurns], std::move(work));
  }
  bool occupied() const { return occupations_.load(std::memory_order_relaxed) > 0; }
  // Waits until everything that was posted is done; nothing more may be.
  void join() { pool_.join(); }

 private:
  static constexpr std::size_t kTurns = 64;

  std::atomic<unsigned> occupations_{0};
  boost::asio::thread_pool pool_;
  std::vector<boost::asio::strand<boost::asio::thread_pool::executor_type>> turns_;
};

}  // namespace foliofs::server
