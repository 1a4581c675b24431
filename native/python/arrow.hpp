// SPDX-License-Identifier: Apache-2.0
// The Arrow C data and stream interfaces (https://arrow.apache.org/docs/format/CDataInterface.html): the structures are
// the whole of the ABI, and meant to be written down by who speaks it.
#pragma once

#include <cstdint>

#include "python/capture.hpp"

namespace wirepath::python {

// (schema, array) capsules of one batch: what __arrow_c_array__ returns. Header columns without a copy, payload copied.
nb::tuple arrow_array(const PyBatch& batch);
// What __arrow_c_stream__ returns: a table whose record batches are received as they are asked for.
nb::object arrow_stream(nb::object capture);

} // namespace wirepath::python
