// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "python/sinks.hpp"
#include "sinks/print.hpp"

namespace wirepath::python {
namespace {

constexpr std::array<std::string_view, 6> time_styles = {"clock",          "none", "epoch",
                                                         "since_previous", "date", "since_first"};
constexpr std::array<std::string_view, 7> dumps = {"none",           "hex",   "hex_link",  "hex_ascii",
                                                   "hex_ascii_link", "ascii", "ascii_link"};

template <typename Enum, std::size_t N>
Enum one_of(const std::array<std::string_view, N>& names, std::string_view option, std::string_view given) {
    std::string hint = "One of:";
    for (std::size_t i = 0; i < N; ++i) {
        if (names[i] == given)
            return static_cast<Enum>(i);
        hint += ' ' + std::string(names[i]);
    }
    throw Error(Code::bad_option, "'" + std::string(option) + "' cannot be '" + std::string(given) + "'", 0, hint);
}

} // namespace

void bind_print(nb::module_& m) {
    using Print = PySinkOf<PrintSink>;
    nb::class_<Print, PySink>(m, "PrintSink")
        .def(
            "__init__",
            [](Print* at, int fd, bool json, bool data, std::string_view time, bool nanoseconds, bool link_header,
               std::uint8_t verbosity, bool quiet, bool absolute_seq, bool checksums, bool numbers, bool interfaces,
               std::string_view dump, bool line_buffered, std::map<std::uint32_t, std::string> names) {
                PrintOptions options;
                options.format = json ? PrintOptions::Format::json : PrintOptions::Format::text;
                options.style = {.time = one_of<TimeStyle>(time_styles, "time", time),
                                 .nanoseconds = nanoseconds,
                                 .link_header = link_header,
                                 .quiet = quiet,
                                 .absolute_seq = absolute_seq,
                                 .no_checksums = !checksums,
                                 .numbers = numbers,
                                 .interfaces = interfaces,
                                 .verbosity = verbosity,
                                 .dump = one_of<Dump>(dumps, "dump", dump)};
                options.data = data;
                options.line_buffered = line_buffered;
                options.fd = fd;
                options.names = std::move(names);
                new (at) Print(std::make_unique<PrintSink>(options));
            },
            "fd"_a = 1, nb::kw_only(), "json"_a = false, "data"_a = false, "time"_a = "clock", "nanoseconds"_a = false,
            "link_header"_a = false, "verbosity"_a = 0, "quiet"_a = false, "absolute_seq"_a = false,
            "checksums"_a = true, "numbers"_a = false, "interfaces"_a = false, "dump"_a = "none",
            "line_buffered"_a = false, "names"_a = std::map<std::uint32_t, std::string>())
        .def_prop_ro("packets", [](Print& self) { return self.typed().packets(); });
}

} // namespace wirepath::python
