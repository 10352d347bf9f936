// Which signals make the daemon give up a call that the server is still answering.
#include "src/fuse/pending_signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace foliofs::fuse {
namespace {

// The relevant lines of /proc/<tid>/status; the masks are hexadecimal.
std::string status(const std::string& pending, const std::string& shared,
                   const std::string& blocked = "0", const std::string& ignored = "0",
                   const std::string& caught = "0") {
  return "Name:\tcat\nSigQ:\t0/63448\nSigPnd:\t" + pending + "\nShdPnd:\t" + shared +
         "\nSigBlk:\t" + blocked + "\nSigIgn:\t" + ignored + "\nSigCgt:\t" + caught +
         "\nCapInh:\t0\n";
}

constexpr char kInt[] = "0000000000000002";
constexpr char kKill[] = "0000000000000100";
constexpr char kAlarm[] = "0000000000002000";
constexpr char kChild[] = "0000000000010000";
constexpr char kNone[] = "0000000000000000";

// SEMANTICS: signals
TEST(PendingSignalsTest, WhatIsHandledDoesNotKill) {
  EXPECT_FALSE(status_has_fatal_signal(status(kNone, kNone)));
  EXPECT_FALSE(status_has_fatal_signal(status(kNone, kAlarm, kNone, kNone, kAlarm)));
  EXPECT_FALSE(status_has_fatal_signal(status(kInt, kNone, kNone, kInt)));
  EXPECT_FALSE(status_has_fatal_signal(status(kInt, kNone, kInt)));
  EXPECT_FALSE(status_has_fatal_signal(status(kNone, kChild)));
}

TEST(PendingSignalsTest, WhatIsNotHandledKills) {
  EXPECT_TRUE(status_has_fatal_signal(status(kKill, kNone)));
  EXPECT_TRUE(status_has_fatal_signal(status(kNone, kKill, kNone, kNone, kAlarm)));
  EXPECT_TRUE(status_has_fatal_signal(status(kNone, kInt)));
  EXPECT_TRUE(status_has_fatal_signal(status(kNone, kAlarm)));
}

TEST(PendingSignalsTest, AThreadIsLookedUp) {
  EXPECT_FALSE(fatal_signal_pending(::gettid()));
  EXPECT_FALSE(fatal_signal_pending(0));
}

}  // namespace
}  // namespace foliofs::fuse
