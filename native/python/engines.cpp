// SPDX-License-Identifier: Apache-2.0
#include "core/engine.hpp"
#include "python/bind.hpp"

namespace wirepath::python {
namespace {

const char* kind_of(const OptionSpec& spec) {
    switch (spec.kind) {
    case OptionSpec::Kind::boolean:
        return "boolean";
    case OptionSpec::Kind::integer:
        return "integer";
    default:
        return "text";
    }
}

nb::list choices_of(const OptionSpec& spec) {
    nb::list result;
    for (std::string_view rest = spec.choices; !rest.empty();) {
        const std::size_t bar = std::min(rest.find('|'), rest.size());
        result.append(rest.substr(0, bar));
        rest.remove_prefix(std::min(bar + 1, rest.size()));
    }
    return result;
}

nb::dict describe(const OptionSpec& spec) {
    nb::dict option;
    option["name"] = spec.name;
    option["kind"] = kind_of(spec);
    option["unit"] = spec.unit;
    option["default"] = spec.initial;
    option["choices"] = choices_of(spec);
    option["help"] = spec.help;
    return option;
}

// What the engine says of itself, without asking whether it can run.
nb::dict describe(const Registered& row) {
    nb::dict engine;
    engine["name"] = row.name;
    engine["summary"] = row.summary;
    engine["built"] = row.engine != nullptr;
    engine["target"] = row.engine != nullptr && row.engine->target == Takes::file ? "file" : "interface";
    engine["takes_packets"] = row.engine != nullptr && row.engine->takes_packets;
    nb::list options;
    if (row.engine != nullptr)
        for (const OptionSpec& spec : row.engine->options)
            options.append(describe(spec));
    engine["options"] = options;
    engine["sends"] = row.engine != nullptr && row.engine->open_sender != nullptr;
    nb::list send_options;
    if (row.engine != nullptr)
        for (const OptionSpec& spec : row.engine->send_options)
            send_options.append(describe(spec));
    engine["send_options"] = send_options;
    return engine;
}

nb::list engines() {
    nb::list result;
    for (const Registered& row : registry())
        result.append(describe(row));
    return result;
}

nb::tuple probe(std::string_view name) {
    for (const Registered& row : registry())
        if (row.name == name && row.engine == nullptr)
            return nb::make_tuple(false, row.unbuilt);
    const Engine& engine = engine_named(name);
    Probe result;
    {
        const nb::gil_scoped_release release;
        result = engine.probe();
    }
    return nb::make_tuple(result.usable, result.reason);
}

nb::list stat_meanings() {
    nb::list result;
#define WIREPATH_STAT(name, meaning) result.append(nb::make_tuple(#name, meaning));
#include "core/stats.def"
#undef WIREPATH_STAT
    return result;
}

nb::list send_stat_meanings() {
    nb::list result;
#define WIREPATH_SEND_STAT(name, meaning) result.append(nb::make_tuple(#name, meaning));
#include "core/send_stats.def"
#undef WIREPATH_SEND_STAT
    return result;
}

} // namespace

void bind_engines(nb::module_& m) {
    m.def("engines", &engines, "The registry: every engine of this version, built or not.");
    m.def("probe", &probe, "engine"_a, "(usable, reason): whether the engine can run here, and why not.");
    m.def("stat_meanings", &stat_meanings, "(name, meaning) of each counter.");
    m.def("send_stat_meanings", &send_stat_meanings, "(name, meaning) of each counter of a sender.");
}

} // namespace wirepath::python
