// SPDX-License-Identifier: Apache-2.0
#include "python/batch.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include "core/buffer_pool.hpp"
#include "core/copy.hpp"
#include "python/arrow.hpp"

namespace wirepath::python {
namespace {

template <typename T>
using Column = nb::ndarray<nb::numpy, const T, nb::ndim<1>, nb::c_contig>;
using Mask = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using RowNumbers = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename Owner>
nb::capsule owning(Owner owner) {
    return nb::capsule(new Owner(std::move(owner)), [](void* p) noexcept { delete static_cast<Owner*>(p); });
}

template <auto Member>
auto column(const PyBatch& self) {
    const Columns::Ref& columns = self.batch().columns();
    auto* first = (columns.operator->()->*Member).get();
    return Column<std::remove_reference_t<decltype(*first)>>(first, {self.batch().size()}, owning(columns));
}

template <Extra which>
std::optional<Column<std::uint32_t>> extra_column(const PyBatch& self) {
    if (!self.batch().has(which))
        return std::nullopt;
    const Columns::Ref& columns = self.batch().columns();
    return Column<std::uint32_t>(columns->extra[static_cast<std::size_t>(which)].get(), {self.batch().size()},
                                 owning(columns));
}

Column<std::uint8_t> bytes_view(std::span<const std::byte> bytes, Lease lease) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), {bytes.size()}, owning(std::move(lease))};
}

std::uint32_t checked_row(const Batch& batch, std::int64_t row) {
    if (row < 0)
        row += batch.size();
    if (row < 0 || row >= batch.size())
        throw nb::index_error("a batch has no such row");
    return static_cast<std::uint32_t>(row);
}

// One packet, its bytes copied: what ease costs.
struct PyPacket {
    Packet header;
    nb::bytes data;
    std::shared_ptr<InterfaceTable> interfaces;
    std::vector<std::string> comments;
    std::array<std::optional<std::uint32_t>, extra_count> extras;
};

template <Extra which>
std::optional<std::uint32_t> extra_of(const PyPacket& packet) {
    return packet.extras[static_cast<std::size_t>(which)];
}

std::vector<std::string> comments_of(const Batch& batch, std::uint32_t row) {
    constexpr std::uint32_t opt_comment = 1;
    std::vector<std::string> result;
    for (const Annotation& item : batch.annotations().items()) {
        if (item.kind != Annotation::Kind::packet_option || item.row != row || item.type != opt_comment)
            continue;
        const auto text = batch.annotations().bytes_of(item);
        result.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
    }
    return result;
}

PyPacket packet_at(const PyBatch& self, std::int64_t index) {
    const Batch& batch = self.batch();
    const std::uint32_t row = checked_row(batch, index);
    const auto [base, lease] = self.payload();
    const auto at = base.subspan(batch.columns()->offset[row], batch.columns()->caplen[row]);
    PyPacket packet{{}, nb::bytes(at.data(), at.size()), self.state().interfaces, {}, {}};
    packet.header = batch[row];
    for (std::size_t which = 0; which < extra_count; ++which)
        if (batch.has(static_cast<Extra>(which)))
            packet.extras[which] = batch.extra(static_cast<Extra>(which), row);
    packet.header.data = {static_cast<const std::byte*>(packet.data.data()), packet.data.size()};
    if (!batch.annotations().empty())
        packet.comments = comments_of(batch, row);
    return packet;
}

nb::list packets_of(const PyBatch& self) {
    nb::list result;
    for (std::uint32_t row = 0; row < self.batch().size(); ++row)
        result.append(packet_at(self, row));
    return result;
}

Column<std::uint8_t> data_of(const PyBatch& self, std::int64_t index) {
    const std::uint32_t row = checked_row(self.batch(), index);
    auto [base, lease] = self.payload();
    return bytes_view(base.subspan(self.batch().columns()->offset[row], self.batch().columns()->caplen[row]),
                      std::move(lease));
}

// The same rows over the same payload, in columns of their own.
PyBatch with_rows(const PyBatch& self, std::span<const std::uint32_t> rows) {
    auto [base, lease] = self.payload();
    auto state = std::make_shared<BatchState>(
        Batch(std::max<std::uint32_t>(1, static_cast<std::uint32_t>(rows.size()))), self.state().interfaces);
    state->batch.begin(base.data(), base.size(), std::move(lease), self.batch().extras());
    for (const std::uint32_t row : rows) {
        state->batch.push(self.batch()[row]);
        state->batch.copy_extras(self.batch(), row, state->batch.size() - 1);
    }
    return PyBatch(std::move(state));
}

PyBatch take(const PyBatch& self, const nb::object& rows) { // whatever numpy makes an array of
    const nb::object array = nb::module_::import_("numpy").attr("asarray")(rows, "int64");
    const auto numbers = nb::cast<RowNumbers>(array);
    std::vector<std::uint32_t> checked;
    for (std::size_t i = 0; i < numbers.size(); ++i)
        checked.push_back(checked_row(self.batch(), numbers.data()[i]));
    return with_rows(self, checked);
}

PyBatch where(const PyBatch& self, const Mask& mask) {
    if (mask.size() != self.batch().size())
        throw nb::value_error("the mask must have one element for each row of the batch");
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < mask.size(); ++row)
        if (mask.data()[row])
            rows.push_back(row);
    return with_rows(self, rows);
}

PyBatch copy(const PyBatch& self) {
    const Batch& from = self.batch();
    const auto [base, lease] = self.payload();
    std::size_t bytes = 0;
    for (std::uint32_t row = 0; row < from.size(); ++row)
        bytes += from.columns()->caplen[row];
    BufferPool memory(1, std::max<std::size_t>(bytes, 1));
    BufferPool::Buffer buffer;
    memory.take(buffer);
    auto state = std::make_shared<BatchState>(Batch(std::max<std::uint32_t>(1, from.size())), self.state().interfaces);
    state->batch.begin(buffer.data, bytes, std::move(buffer.lease), from.extras());
    std::byte* to = buffer.data;
    CopyCount user_asked_for_it; // not a cost of the capture's path
    for (std::uint32_t row = 0; row < from.size(); ++row) {
        Packet packet = from[row];
        copy_payload(to, packet.data, user_asked_for_it);
        packet.data = {to, packet.data.size()};
        to += packet.data.size();
        state->batch.push(packet);
        state->batch.copy_extras(from, row, row);
    }
    state->batch.annotations() = from.annotations();
    return PyBatch(std::move(state));
}

} // namespace

std::pair<std::span<const std::byte>, Lease> PyBatch::payload() const {
    const std::lock_guard lock(state_->payload);
    const auto base = batch().base();
    if (base.data() == nullptr && !batch().empty())
        throw Error(Code::closed, "this batch's payload went back to the capture", 0,
                    "Take batch.payload or batch.copy() before the next batch is received");
    return {base, batch().lease()};
}

void bind_batch(nb::module_& m) {
    constexpr auto owned = nb::rv_policy::automatic; // an array keeps its memory itself
    nb::class_<PyPacket>(m, "Packet")
        .def_prop_ro("ts", [](const PyPacket& p) { return p.header.ts; })
        .def_ro("data", &PyPacket::data)
        .def_prop_ro("caplen", [](const PyPacket& p) { return p.header.data.size(); })
        .def_prop_ro("origlen", [](const PyPacket& p) { return p.header.origlen; })
        .def_prop_ro("interface", [](const PyPacket& p) { return p.header.interface; })
        .def_prop_ro("interface_name",
                     [](const PyPacket& p) { return text_of((*p.interfaces)[p.header.interface].name); })
        .def_prop_ro("linktype", [](const PyPacket& p) { return (*p.interfaces)[p.header.interface].linktype; })
        .def_prop_ro("queue", [](const PyPacket& p) { return p.header.queue; })
        .def_prop_ro("vlan_tci", [](const PyPacket& p) { return p.header.vlan_tci; })
        .def_prop_ro("vlan_tpid", [](const PyPacket& p) { return p.header.vlan_tpid; })
        .def_prop_ro("flags", [](const PyPacket& p) { return p.header.flags; })
        .def_prop_ro("mark", &extra_of<Extra::mark>)
        .def_prop_ro("pid", &extra_of<Extra::pid>)
        .def_prop_ro("hook", &extra_of<Extra::hook>)
        .def_prop_ro("netns", &extra_of<Extra::netns>)
        .def_prop_ro("comments", [](const PyPacket& p) {
            nb::list result;
            for (const std::string& comment : p.comments)
                result.append(text_of(comment));
            return result;
        });

    nb::class_<PyBatch>(m, "Batch")
        .def("__len__", [](const PyBatch& self) { return self.batch().size(); })
        .def("__getitem__", &packet_at, "row"_a)
        .def("__iter__", [](const PyBatch& self) { return nb::iter(packets_of(self)); })
        .def_prop_ro("ts", &column<&Columns::ts>, owned)
        .def_prop_ro("offset", &column<&Columns::offset>, owned)
        .def_prop_ro("caplen", &column<&Columns::caplen>, owned)
        .def_prop_ro("origlen", &column<&Columns::origlen>, owned)
        .def_prop_ro("interface", &column<&Columns::interface>, owned)
        .def_prop_ro("queue", &column<&Columns::queue>, owned)
        .def_prop_ro("vlan_tci", &column<&Columns::vlan_tci>, owned)
        .def_prop_ro("vlan_tpid", &column<&Columns::vlan_tpid>, owned)
        .def_prop_ro("flags", &column<&Columns::flags>, owned)
        .def_prop_ro("mark", &extra_column<Extra::mark>, owned)
        .def_prop_ro("pid", &extra_column<Extra::pid>, owned)
        .def_prop_ro("hook", &extra_column<Extra::hook>, owned)
        .def_prop_ro("netns", &extra_column<Extra::netns>, owned)
        .def_prop_ro(
            "payload",
            [](const PyBatch& self) {
                auto [base, lease] = self.payload();
                return bytes_view(base, std::move(lease));
            },
            owned)
        .def("data", &data_of, "row"_a)
        .def("where", &where, "mask"_a)
        .def("take", &take, "rows"_a)
        .def("copy", &copy)
        .def(
            "__arrow_c_array__", [](const PyBatch& self, const nb::object&) { return arrow_array(self); },
            "requested_schema"_a = nb::none());
}

} // namespace wirepath::python
