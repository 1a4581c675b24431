// SPDX-License-Identifier: Apache-2.0
#include "python/sender.hpp"

#include <algorithm>
#include <cstring>

#include "core/buffer_pool.hpp"
#include "core/engine.hpp"
#include "linux/netns.hpp"
#include "linux/routes.hpp"

namespace wirepath::python {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::nanoseconds signal_slice = 200ms; // Python runs its signal handlers in between

nb::dict describe(const SenderInfo& info) {
    nb::list granted;
    for (const Granted& item : info.granted)
        granted.append(nb::make_tuple(item.name, item.asked, item.granted));
    nb::dict result;
    result["engine"] = info.engine;
    result["mode"] = info.mode;
    result["granted"] = granted;
    result["interface"] = text_of(info.interface);
    result["ifindex"] = info.ifindex;
    result["linktype"] = info.linktype;
    result["mtu"] = info.mtu;
    result["speed_bps"] = info.speed_bps;
    result["mac"] = nb::bytes(info.mac.data(), info.mac.size());
    result["notes"] = info.notes;
    return result;
}

const char* name_of(Status status) {
    return status == Status::ok ? "ok" : status == Status::interrupted ? "interrupted" : "timeout";
}

// A batch of frames in memory of its own, as if they had just come from an interface of this linktype.
PyBatch batch_of_frames(const nb::list& frames, std::int64_t ts, std::uint32_t linktype) {
    std::size_t bytes = 0;
    for (const nb::handle frame : frames)
        bytes += nb::cast<nb::bytes>(frame).size();
    BufferPool memory(1, std::max<std::size_t>(bytes, 1));
    BufferPool::Buffer buffer;
    memory.take(buffer);
    auto table = std::make_shared<InterfaceTable>();
    Interface from;
    from.linktype = linktype;
    table->add(from);
    const auto rows = static_cast<std::uint32_t>(std::max<std::size_t>(frames.size(), 1));
    auto state = std::make_shared<BatchState>(Batch(rows), std::move(table));
    state->batch.begin(buffer.data, bytes, std::move(buffer.lease));
    std::byte* to = buffer.data;
    for (const nb::handle each : frames) {
        const auto frame = nb::cast<nb::bytes>(each);
        std::memcpy(to, frame.data(), frame.size());
        Packet packet;
        packet.data = {to, frame.size()};
        packet.origlen = static_cast<std::uint32_t>(frame.size());
        packet.ts = ts;
        state->batch.push(packet);
        to += frame.size();
    }
    return PyBatch(std::move(state));
}

} // namespace

PySender::PySender(const std::string& engine, const std::string& interface,
                   const std::map<std::string, std::string>& options, const std::string& netns, bool force) {
    const nb::gil_scoped_release release;
    const Netns there(netns);
    const Netns::Inside inside(there);
    if (!force && carries_default_route(interface))
        throw Error(Code::refused, "sending on " + interface + ": it carries this host's default route", 0,
                    "If that is what you want, say so with --force (force=True)");
    sender_ = open_sender(engine, {interface, options});
    info_ = sender_->info();
}

Sender& PySender::sender() {
    if (closed_)
        throw Error(Code::closed, "the sender is closed", 0, "Open a new one");
    return *sender_;
}

// Calls step(deadline) until it comes to an end or the time is up, in slices short enough for Python's signals.
template <typename Step>
Status PySender::in_slices(double timeout_s, Step step) {
    const bool for_ever = timeout_s < 0;
    const Deadline deadline =
        Steady::now() + std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(timeout_s, 1e9) * 1e9));
    for (;;) {
        Status status;
        std::optional<Error> fault;
        {
            const nb::gil_scoped_release release;
            const std::lock_guard only(sending_);
            const Deadline slice = Steady::now() + signal_slice;
            status = step(sender(), for_ever ? slice : std::min(slice, deadline));
            if (status == Status::error || status == Status::gone)
                fault = sender().fault();
        }
        if (PyErr_CheckSignals() != 0)
            throw nb::python_error();
        if (status == Status::ok || status == Status::interrupted)
            return status;
        if (fault)
            throw std::move(*fault);
        if (!for_ever && Steady::now() >= deadline)
            return status;
    }
}

nb::tuple PySender::send(const PyBatch& batch, std::uint32_t first, double timeout_s) {
    const auto [payload, lease] = batch.payload(); // pinned while it is sent
    std::uint32_t at = std::min(first, batch.batch().size());
    const Status status = in_slices(timeout_s, [&](Sender& sender, Deadline until) {
        std::uint32_t done = 0;
        const Status ended = sender.send(batch.batch(), {at, batch.batch().size()}, done, until);
        at += done;
        return ended;
    });
    return nb::make_tuple(name_of(status), at);
}

bool PySender::drain(double timeout_s) {
    return in_slices(timeout_s, [](Sender& sender, Deadline until) { return sender.drain(until); }) == Status::ok;
}

void PySender::interrupt() noexcept {
    const std::lock_guard lock(life_);
    if (sender_)
        sender_->interrupt();
}

void PySender::close() noexcept {
    if (closed_.exchange(true))
        return;
    const nb::gil_scoped_release release;
    interrupt();
    const std::lock_guard only(sending_);
    const std::lock_guard lock(life_);
    if (sender_)
        last_stats_ = sender_->stats();
    sender_.reset();
}

SendStats PySender::stats() {
    const std::lock_guard lock(life_);
    return sender_ ? sender_->stats() : last_stats_;
}

nb::dict to_dict(const SendStats& stats) {
    nb::dict result;
#define WIREPATH_SEND_STAT(name, meaning) result[#name] = stats.name ? nb::cast(*stats.name) : nb::none();
#include "core/send_stats.def"
#undef WIREPATH_SEND_STAT
    return result;
}

void bind_sender(nb::module_& m) {
    nb::class_<PySender>(m, "Sender")
        .def(nb::init<const std::string&, const std::string&, const std::map<std::string, std::string>&,
                      const std::string&, bool>(),
             "engine"_a, "interface"_a, "options"_a, "netns"_a, "force"_a)
        .def("send", &PySender::send, "batch"_a, "first"_a, "timeout_s"_a)
        .def("drain", &PySender::drain, "timeout_s"_a)
        .def("interrupt", &PySender::interrupt)
        .def("close", &PySender::close)
        .def_prop_ro("closed", &PySender::closed)
        .def("stats", [](PySender& self) { return to_dict(self.stats()); })
        .def("info", [](const PySender& self) { return describe(self.info()); });
    m.def("batch_of_frames", &batch_of_frames, "frames"_a, "ts"_a, "linktype"_a);
}

} // namespace wirepath::python
