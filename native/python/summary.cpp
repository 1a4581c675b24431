// SPDX-License-Identifier: Apache-2.0
#include "files/summary.hpp"
#include "python/bind.hpp"

namespace wirepath::python {
namespace {

nb::dict to_dict(const files::InterfaceSummary& from) {
    nb::dict result;
    result["name"] = text_of(from.interface.name);
    result["description"] = text_of(from.interface.description);
    result["linktype"] = from.interface.linktype;
    result["snaplen"] = from.interface.snaplen;
    result["filter"] = text_of(from.interface.filter);
    result["os"] = text_of(from.interface.os);
    result["hardware"] = text_of(from.interface.hardware);
    result["speed_bps"] = from.interface.speed_bps;
    result["mac"] = nb::bytes(from.interface.mac.data(), from.interface.mac.size());
    result["packets"] = from.packets;
    result["bytes"] = from.bytes;
    result["received"] = from.counts.received;
    result["dropped_interface"] = from.counts.dropped_interface;
    result["filter_accepted"] = from.counts.filter_accepted;
    result["dropped_os"] = from.counts.dropped_os;
    result["delivered"] = from.counts.delivered;
    return result;
}

nb::dict to_dict(const files::Summary& from) {
    nb::dict result;
    result["format"] = from.facts.format;
    result["variant"] = from.facts.variant;
    result["big_endian"] = from.facts.big_endian;
    result["compression"] = from.compression;
    result["file_bytes"] = from.file_bytes;
    result["plain_bytes"] = from.plain_bytes;
    result["packets"] = from.packets;
    result["bytes"] = from.bytes;
    result["original_bytes"] = from.original_bytes;
    result["cut_packets"] = from.cut_packets;
    result["packets_without_time"] = from.packets_without_time;
    result["least_caplen"] = from.least_caplen;
    result["most_caplen"] = from.most_caplen;
    result["first_ts"] = from.first_ts;
    result["last_ts"] = from.last_ts;
    result["in_order"] = from.in_order;
    result["sections"] = from.facts.sections;
    result["comments"] = from.facts.comments;
    nb::list section_comments;
    for (const std::string& comment : from.facts.section_comments)
        section_comments.append(text_of(comment));
    result["section_comments"] = section_comments;
    nb::dict section_texts;
    for (const auto& [what, text] : from.facts.section_texts)
        section_texts[what.c_str()] = text_of(text);
    result["section_texts"] = section_texts;
    result["blocks"] = from.facts.blocks;
    result["unknown_blocks"] = from.facts.unknown_blocks;
    result["damage"] = from.damage ? nb::object(text_of(from.damage->what())) : nb::none();
    nb::list interfaces;
    for (const files::InterfaceSummary& interface : from.interfaces)
        interfaces.append(to_dict(interface));
    result["interfaces"] = interfaces;
    return result;
}

nb::dict summarize(const std::string& path) {
    bool signalled = false;
    files::Summary summary;
    {
        const nb::gil_scoped_release release;
        summary = files::summarize(path, [&signalled] {
            const nb::gil_scoped_acquire acquire;
            return !(signalled = PyErr_CheckSignals() != 0);
        });
    }
    if (signalled)
        throw nb::python_error();
    return to_dict(summary);
}

} // namespace

void bind_summary(nb::module_& m) { m.def("summarize", &summarize, "path"_a); }

} // namespace wirepath::python
