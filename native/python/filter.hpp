// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "filter/filter.hpp"

namespace wirepath::python {

struct PyFilter {
    std::shared_ptr<const Filter> filter;
};

} // namespace wirepath::python
