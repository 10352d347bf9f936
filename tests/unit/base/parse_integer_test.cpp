#include "foliofs/base/parse_integer.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace foliofs {
namespace {

TEST(ParseInteger, TakesTheWholeTextOrNothing) {
  EXPECT_EQ(parse_integer<std::uint16_t>("0"), 0);
  EXPECT_EQ(parse_integer<std::uint16_t>("65535"), 65535);
  EXPECT_EQ(parse_integer<int>("-7"), -7);
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1x", "0x1", "65536"}) {
    EXPECT_EQ(parse_integer<std::uint16_t>(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace foliofs
