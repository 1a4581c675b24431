// SPDX-License-Identifier: Apache-2.0
#include "python/bind.hpp"

#ifdef WIREPATH_HAVE_TRACE
#include "trace/drops/drop_reasons.hpp"
#include "trace/drops/socket_table.hpp"
#endif

namespace wirepath::python {

#ifdef WIREPATH_HAVE_TRACE

namespace {

nb::list drops_of(const trace::DropReasons& reasons) {
    nb::list rows;
    for (const trace::DropRow& row : reasons.drops())
        rows.append(nb::make_tuple(row.location, row.reason, row.netns, row.ifindex, row.protocol, row.packets));
    return rows;
}

nb::list xdp_losses_of(const trace::DropReasons& reasons) {
    nb::list rows;
    for (const trace::XdpRow& row : reasons.xdp_losses())
        rows.append(nb::make_tuple(row.kind, row.code, row.ifindex, row.netns, row.frames));
    return rows;
}

nb::bytes address(const unsigned char* at) { return nb::bytes(reinterpret_cast<const char*>(at), 16); }

nb::dict as_dict(const socket_record& record) {
    nb::dict row;
    row["inode"] = record.inode;
    row["netns"] = record.netns;
    row["pid"] = record.pid;
    row["command"] = text_of(record.comm);
    row["fd"] = record.fd;
    row["family"] = record.family;
    row["type"] = record.type;
    row["protocol"] = record.protocol;
    row["state"] = record.state;
    row["drops"] = record.drops;
    row["rcvbuf"] = record.rcvbuf;
    row["rmem"] = record.rmem;
    row["queued"] = record.queued;
    row["ifindex"] = record.ifindex;
    row["local"] = nb::make_tuple(address(record.local), record.local_port);
    row["remote"] = nb::make_tuple(address(record.remote), record.remote_port);
    row["filtered"] = record.filtered != 0;
    row["tp_drops"] = record.tp_drops;
    row["tp_version"] = record.tp_version;
    row["block_size"] = record.block_size;
    row["block_nr"] = record.block_nr;
    row["frame_size"] = record.frame_size;
    row["frame_nr"] = record.frame_nr;
    row["fanout"] = nb::make_tuple(record.fanout_id, record.fanout_type, record.fanout_members);
    row["queue"] = record.queue;
    row["zero_copy"] = record.zero_copy != 0;
    row["rx_entries"] = record.rx_entries;
    row["fill_entries"] = record.fill_entries;
    row["rx_dropped"] = record.rx_dropped;
    row["rx_ring_full"] = record.rx_ring_full;
    row["rx_invalid_descs"] = record.rx_invalid_descs;
    row["fill_ring_empty"] = record.fill_ring_empty;
    return row;
}

nb::list sockets_of(const trace::SocketTable& table) {
    std::vector<socket_record> records;
    {
        const nb::gil_scoped_release release;
        records = table.read();
    }
    nb::list rows;
    for (const socket_record& record : records)
        rows.append(as_dict(record));
    return rows;
}

} // namespace

void bind_drops(nb::module_& m) {
    nb::class_<trace::DropReasons>(m, "DropReasons")
        .def(nb::init<>(), nb::call_guard<nb::gil_scoped_release>())
        .def("drops", &drops_of)
        .def("xdp_losses", &xdp_losses_of)
        .def_prop_ro("uncounted", &trace::DropReasons::uncounted)
        .def("stop", &trace::DropReasons::stop);
    nb::class_<trace::SocketTable>(m, "SocketTable")
        .def(nb::init<>(), nb::call_guard<nb::gil_scoped_release>())
        .def("read", &sockets_of);
    m.def("drop_reason_names", &trace::drop_reason_names);
}

#else

namespace {

struct NotBuilt {
    NotBuilt() {
        throw Error(Code::unsupported, "the instruments that trace the kernel were not built", 0,
                    WIREPATH_UNBUILT_TRACE);
    }
};
struct DropReasons : NotBuilt {};
struct SocketTable : NotBuilt {};

} // namespace

void bind_drops(nb::module_& m) {
    nb::class_<DropReasons>(m, "DropReasons").def(nb::init<>());
    nb::class_<SocketTable>(m, "SocketTable").def(nb::init<>());
    m.def("drop_reason_names", [] { return NotBuilt(), std::map<std::uint32_t, std::string>(); });
}

#endif

} // namespace wirepath::python
