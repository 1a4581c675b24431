// SPDX-License-Identifier: Apache-2.0
// The only folder that knows Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "core/error.hpp"
#include "core/sender.hpp"
#include "core/stats.hpp"

namespace wirepath::python {

namespace nb = nanobind;
using namespace nb::literals;

void bind_errors(nb::module_& m);
void bind_engines(nb::module_& m);
void bind_batch(nb::module_& m);
void bind_capture(nb::module_& m);
void bind_sinks(nb::module_& m);
void bind_print(nb::module_& m);
void bind_files(nb::module_& m);
void bind_summary(nb::module_& m);
void bind_pipeline(nb::module_& m);
void bind_sender(nb::module_& m);
void bind_sending(nb::module_& m);
void bind_filter(nb::module_& m);
void bind_filter_machines(nb::module_& m);
void bind_trace(nb::module_& m);
void bind_nic(nb::module_& m);
void bind_trace_packets(nb::module_& m);
void bind_trace_copies(nb::module_& m);
void bind_drops(nb::module_& m);

// What a file or a driver says, in whatever encoding: what is not UTF-8 becomes U+FFFD. Throws python_error.
nb::str text_of(const std::string& text);

nb::dict to_dict(const Stats& stats); // a counter without a value is None
nb::dict to_dict(const SendStats& stats);

} // namespace wirepath::python
