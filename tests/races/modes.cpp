// The modes in which every row of the table is tested.
#include "close_race_fixture.h"
#include "race_fixture.h"

namespace foliofs {

using cache::InvalidateMode;
using cache::RaceTable;
using test::RaceTableOfMount;

namespace {

const auto kModes =
    testing::Values(InvalidateMode::kLaunder, InvalidateMode::kBulk, InvalidateMode::kHybrid);

std::string name_of_mode(const testing::TestParamInfo<InvalidateMode>& mode) {
  return cache::mode_name(mode.param);
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(, RaceTable, kModes, name_of_mode);
INSTANTIATE_TEST_SUITE_P(, RaceTableOfMount, kModes, name_of_mode);

}  // namespace foliofs
