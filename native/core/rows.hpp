// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace wirepath {

// Of a batch: from begin, without end.
struct Rows {
    std::uint32_t begin, end;
};

} // namespace wirepath
