// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <nanobind/stl/tuple.h>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "decode/line.hpp"
#include "filter/filter.hpp"
#include "python/batch.hpp"
#include "python/bind.hpp"

#ifdef WIREPATH_HAVE_TRACE
#include "trace/packets/tracer.hpp"
#endif

namespace wirepath::python {
namespace {

constexpr std::uint32_t ethernet = 1, raw_ip = 101;

// A packet that was seen outside of a capture, with what is to be said of it.
using Seen = std::tuple<std::int64_t, nb::bytes, std::uint32_t, std::uint16_t, std::uint16_t, std::uint16_t,
                        std::vector<std::string>>; // ts, data, origlen, interface, vlan_tci, vlan_tpid, comments

std::span<const std::byte> bytes_of(const nb::bytes& data) {
    return {static_cast<const std::byte*>(data.data()), data.size()};
}

std::shared_ptr<InterfaceTable> table_of(const std::vector<std::pair<std::string, std::uint32_t>>& interfaces) {
    auto table = std::make_shared<InterfaceTable>();
    for (const auto& [name, linktype] : interfaces) {
        Interface interface;
        interface.name = name;
        interface.linktype = linktype;
        table->add(std::move(interface));
    }
    return table;
}

void push(Batch& batch, const Seen& seen, std::byte* at) {
    const auto& [ts, data, origlen, interface, tci, tpid, comments] = seen;
    constexpr std::uint32_t opt_comment = 1;
    CopyCount not_of_a_capture;
    copy_payload(at, bytes_of(data), not_of_a_capture);
    for (const std::string& comment : comments)
        batch.annotations().add(Annotation::Kind::packet_option, batch.size(), opt_comment,
                                std::as_bytes(std::span(comment)), false);
    Packet packet;
    packet.data = {at, data.size()};
    packet.origlen = origlen;
    packet.ts = ts;
    packet.interface = interface;
    packet.vlan_tci = tci;
    packet.vlan_tpid = tpid;
    batch.push(packet);
}

PyBatch batch_of(const std::vector<std::pair<std::string, std::uint32_t>>& interfaces,
                 const std::vector<Seen>& packets) {
    std::size_t bytes = 1;
    for (const Seen& seen : packets)
        bytes += std::get<1>(seen).size();
    BufferPool memory(1, bytes);
    BufferPool::Buffer buffer;
    memory.take(buffer);
    auto state = std::make_shared<BatchState>(Batch(std::max<std::uint32_t>(1, packets.size())), table_of(interfaces));
    std::byte* at = buffer.data;
    state->batch.begin(buffer.data, bytes, std::move(buffer.lease));
    for (const Seen& seen : packets) {
        push(state->batch, seen, at);
        at += std::get<1>(seen).size();
    }
    return PyBatch(std::move(state));
}

nb::str line_of(const nb::bytes& data, std::uint32_t linktype, std::uint32_t origlen, std::int64_t ts,
                std::uint16_t vlan_tci, std::uint16_t vlan_tpid) {
    Style style;
    style.absolute_seq = true; // a packet by itself: there is no first one to count from
    style.no_checksums = true; // what is sent has them filled in later
    LineDecoder decoder(style);
    Text text(4096);
    Packet packet;
    packet.data = bytes_of(data);
    packet.origlen = origlen;
    packet.ts = ts;
    packet.vlan_tci = vlan_tci;
    packet.vlan_tpid = vlan_tpid;
    Interface interface;
    interface.linktype = linktype;
    decoder.put(text, packet, interface);
    std::string line(text.view());
    while (!line.empty() && line.back() == '\n')
        line.pop_back();
    return text_of(line);
}

#ifdef WIREPATH_HAVE_TRACE

using trace::Tracer;

std::vector<Instruction> program_of(const std::string& text, std::uint32_t linktype) {
    if (text.empty())
        return {};
    const auto filter = linktype == ethernet ? Filter::compile_live(text, "lo", 262144, ethernet)
                                             : Filter::compile(text, linktype, 262144);
    return {filter->program().begin(), filter->program().end()};
}

// What only a MAC header can answer, no packet without one matches.
std::vector<Instruction> program_without_mac(const std::string& text) {
    constexpr Instruction reject{0x06, 0, 0, 0};
    try {
        return program_of(text, raw_ip);
    } catch (const Error& error) {
        if (error.code() != Code::bad_filter)
            throw;
        return {reject};
    }
}

void construct(Tracer* at, const std::string& filter, std::uint32_t snaplen, std::uint64_t limit,
               std::uint32_t ring_bytes, std::vector<std::string> probes, bool all_functions) {
    trace::TracerOptions options;
    options.with_mac = program_of(filter, ethernet);
    options.without_mac = program_without_mac(filter);
    options.snaplen = snaplen;
    options.limit = limit;
    options.ring_bytes = ring_bytes;
    options.probes = std::move(probes);
    options.all_functions = all_functions;
    const nb::gil_scoped_release release;
    new (at) Tracer(options);
}

nb::list hooks_of(const Tracer& self) {
    nb::list result;
    for (const trace::Hook& hook : self.hooks())
        result.append(nb::make_tuple(hook.function, hook.kind, hook.group, hook.stage, hook.reason));
    return result;
}

nb::tuple read(Tracer& self, double seconds) {
    std::vector<trace_event> events;
    std::vector<std::uint8_t> bytes;
    {
        const nb::gil_scoped_release release;
        self.read(events, bytes, std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
    }
    return nb::make_tuple(nb::bytes(events.data(), events.size() * sizeof(trace_event)),
                          nb::bytes(bytes.data(), bytes.size()));
}

nb::dict counts_of(const Tracer& self) {
    const trace::TracerCounts counts = self.counts();
    nb::dict result;
    result["packets"] = counts.packets;
    result["lost"] = counts.lost;
    result["missed"] = counts.missed;
    return result;
}

// Of numpy.dtype: where each field of an event is.
nb::dict event_layout() {
    nb::list names, formats, offsets;
    const auto field = [&](const char* name, const char* format, std::size_t offset) {
        names.append(name);
        formats.append(format);
        offsets.append(offset);
    };
#define WIREPATH_FIELD(name, format) field(#name, format, offsetof(trace_event, name))
    WIREPATH_FIELD(ts_ns, "<i8");
    WIREPATH_FIELD(packet, "<u8");
    WIREPATH_FIELD(skb, "<u8");
    WIREPATH_FIELD(detail, "<u8");
    WIREPATH_FIELD(location, "<u8");
    WIREPATH_FIELD(hook, "<u4");
    WIREPATH_FIELD(cpu, "<u4");
    WIREPATH_FIELD(pid, "<u4");
    WIREPATH_FIELD(tid, "<u4");
    WIREPATH_FIELD(netns, "<u4");
    WIREPATH_FIELD(ifindex, "<u4");
    WIREPATH_FIELD(len, "<u4");
    WIREPATH_FIELD(origlen, "<u4");
    WIREPATH_FIELD(linktype, "<u2");
    WIREPATH_FIELD(caplen, "<u2");
    WIREPATH_FIELD(vlan_tci, "<u2");
    WIREPATH_FIELD(vlan_tpid, "<u2");
    WIREPATH_FIELD(flags, "<u2");
    WIREPATH_FIELD(holders, "<u2");
    WIREPATH_FIELD(comm, "S16");
    WIREPATH_FIELD(interface, "S16");
#undef WIREPATH_FIELD
    nb::dict result;
    result["names"] = names;
    result["formats"] = formats;
    result["offsets"] = offsets;
    result["itemsize"] = sizeof(trace_event);
    return result;
}

nb::list judge(const std::string& filter, const std::vector<nb::bytes>& packets, std::uint32_t linktype) {
    std::vector<Packet> rows;
    for (const nb::bytes& data : packets) {
        Packet packet;
        packet.data = bytes_of(data);
        packet.origlen = static_cast<std::uint32_t>(data.size());
        rows.push_back(packet);
    }
    const auto compiled = Filter::compile(filter, linktype, 262144);
    nb::list result;
    for (const bool verdict : trace::judge_in_kernel({compiled->program().begin(), compiled->program().end()}, rows))
        result.append(verdict);
    return result;
}

void bind_tracer(nb::module_& m) {
    nb::class_<Tracer>(m, "PacketTracer")
        .def("__init__", &construct, "filter"_a, nb::kw_only(), "snaplen"_a, "limit"_a, "ring_bytes"_a, "probes"_a,
             "all_functions"_a)
        .def_prop_ro("hooks", &hooks_of)
        .def_prop_ro("notes", [](const Tracer& self) { return self.notes(); })
        .def("read", &read, "seconds"_a)
        .def("stop", &Tracer::stop, nb::call_guard<nb::gil_scoped_release>())
        .def("counts", &counts_of)
        .def("place_of", [](const Tracer& self, std::uint64_t location) { return text_of(self.place_of(location)); })
        .def("drop_reason", &Tracer::drop_reason, "reason"_a);
    m.def("trace_event_layout", &event_layout);
    m.def("trace_judge", &judge, "filter"_a, "packets"_a, "linktype"_a = ethernet);
}

#else

void bind_tracer(nb::module_& m) {
    m.def("PacketTracer", [](const nb::args&, const nb::kwargs&) {
        throw Error(Code::unsupported, "following packets through the kernel was not built", 0, WIREPATH_UNBUILT_TRACE);
    });
}

#endif

} // namespace

void bind_trace_packets(nb::module_& m) {
    bind_tracer(m);
    m.def("packet_line", &line_of, "data"_a, nb::kw_only(), "linktype"_a, "origlen"_a, "ts"_a, "vlan_tci"_a = 0,
          "vlan_tpid"_a = 0);
    m.def("batch_of", &batch_of, "interfaces"_a, "packets"_a);
}

} // namespace wirepath::python
