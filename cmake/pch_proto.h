// Precompiled for every target above the protocol: its generated tables are costly to parse.
#pragma once

#include "foliofs/proto/messages.h"
#include "pch.h"
