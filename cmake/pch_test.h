// Precompiled for the tests.
#pragma once

#include <gtest/gtest.h>

#include "pch_proto.h"
