// SPDX-License-Identifier: Apache-2.0
#include "python/capture.hpp"

#include <algorithm>

#include "python/arrow.hpp"

namespace wirepath::python {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

// Python runs its signal handlers between two waits; one that comes just before a wait is seen after this long.
constexpr std::chrono::nanoseconds signal_slice = 200ms;

const char* name_of(Place place) {
    constexpr std::array names = {"none", "nic", "xdp", "kernel", "pipeline"};
    return names[static_cast<std::size_t>(place)];
}

const char* name_of(Clock clock) {
    constexpr std::array names = {"host", "adapter", "adapter_unsynced"};
    return names[static_cast<std::size_t>(clock)];
}

nb::dict describe(const Interface& from) {
    nb::dict result;
    result["name"] = text_of(from.name);
    result["description"] = text_of(from.description);
    result["ifindex"] = from.ifindex;
    result["linktype"] = from.linktype;
    result["snaplen"] = from.snaplen;
    result["clock"] = name_of(from.clock);
    result["filter"] = text_of(from.filter);
    result["os"] = text_of(from.os);
    result["hardware"] = text_of(from.hardware);
    result["speed_bps"] = from.speed_bps;
    result["mac"] = nb::bytes(from.mac.data(), from.mac.size());
    return result;
}

nb::list interfaces(PyCapture& self) {
    nb::list result;
    const InterfaceTable& table = *self.described().interfaces();
    for (std::size_t i = 0; i < table.size(); ++i)
        result.append(describe(table[i]));
    return result;
}

nb::dict describe(const FilteredSource& source) {
    const Info& info = source.info();
    nb::dict result;
    nb::list granted;
    for (const Granted& item : info.granted)
        granted.append(nb::make_tuple(item.name, item.asked, item.granted));
    result["engine"] = info.engine;
    result["mode"] = info.mode;
    result["granted"] = granted;
    result["interface"] = info.interface;
    result["queue"] = info.queue;
    result["takes_packets"] = info.takes_packets;
    result["notes"] = info.notes;
    result["filtered_by"] = name_of(source.filtered_by());
    result["fd"] = info.fd;
    return result;
}

nb::list sources(PyCapture& self) {
    nb::list result;
    for (const auto& source : self.described().sources())
        result.append(describe(*source));
    return result;
}

nb::list frames(PyCapture& self) {
    nb::list result;
    for (const std::optional<Frames>& of_source : self.frames())
        if (of_source)
            result.append(nb::make_tuple(of_source->total, of_source->with_kernel, of_source->leased));
        else
            result.append(nb::none());
    return result;
}

nb::list observed(PyCapture& self) {
    std::vector<std::pair<std::uint16_t, Observed>> found;
    {
        const nb::gil_scoped_release release;
        for (const auto& source : self.described().sources())
            for (Observed& one : source->observed())
                found.emplace_back(source->info().interface, std::move(one));
    }
    nb::list result;
    for (const auto& [interface, one] : found)
        result.append(nb::make_tuple(interface, one.name, one.before, one.during, one.detail));
    return result;
}

std::optional<nb::list> processes(PyCapture& self) {
    const std::shared_ptr<Processes> table = self.described().interfaces()->processes();
    if (table == nullptr)
        return std::nullopt;
    nb::list result;
    for (const Process& one : table->all())
        result.append(nb::make_tuple(one.pid, text_of(one.command), text_of(one.cgroup), one.cgroup_id, one.netns));
    return result;
}

const char* name_of(Status status) {
    constexpr std::array names = {"ok",       "timeout",     "interrupted", "no_buffer",
                                  "no_space", "end_of_file", "gone",        "error"};
    return names[static_cast<std::size_t>(status)];
}

} // namespace

void PyCapture::add(const std::string& engine, const std::string& target, const std::string& filter,
                    std::uint32_t snaplen, bool promisc, const std::map<std::string, std::string>& options, bool take) {
    OpenRequest request;
    request.target = target;
    request.snaplen = snaplen;
    request.promisc = promisc;
    request.options = options;
    const nb::gil_scoped_release release;
    capture_.add(engine_named(engine), std::move(request), filter, take);
}

Capture& PyCapture::capture() {
    if (closed_)
        throw Error(Code::closed, "the capture is closed", 0, "Open a new one");
    return capture_;
}

void PyCapture::start() {
    const nb::gil_scoped_release release;
    capture().start();
    started_ = true;
}

std::shared_ptr<BatchState> PyCapture::unused_state() {
    for (auto& state : states_) {
        if (!state)
            state = std::make_shared<BatchState>();
        if (state.use_count() == 1)
            return state;
    }
    return std::make_shared<BatchState>();
}

std::pair<Status, std::shared_ptr<BatchState>> PyCapture::receive_once(std::chrono::nanoseconds timeout) {
    const nb::gil_scoped_release release;
    const std::lock_guard only(receiving_);
    if (current_) {
        const std::lock_guard lock(current_->payload);
        current_->batch.release_payload();
    }
    current_ = nullptr;
    Capture& from = capture();
    current_ = unused_state();
    current_->interfaces = from.interfaces();
    const Status status = from.receive(current_->batch, timeout);
    return {status, current_};
}

nb::tuple PyCapture::receive(double timeout_s) {
    const bool for_ever = timeout_s < 0;
    const auto deadline =
        Steady::now() + std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(timeout_s, 1e9) * 1e9));
    for (;;) {
        const std::chrono::nanoseconds left =
            for_ever ? signal_slice : std::max<std::chrono::nanoseconds>(deadline - Steady::now(), 0ns);
        const auto [status, state] = receive_once(std::min(left, signal_slice));
        if (PyErr_CheckSignals() != 0)
            throw nb::python_error();
        if (status == Status::ok)
            return nb::make_tuple(name_of(status), PyBatch(state));
        if (status == Status::error || status == Status::gone || status == Status::no_buffer ||
            status == Status::no_space)
            throw capture().fault();
        if (status != Status::timeout || (!for_ever && Steady::now() >= deadline))
            return nb::make_tuple(name_of(status), nb::none());
    }
}

void PyCapture::close() noexcept {
    if (closed_.exchange(true))
        return;
    const nb::gil_scoped_release release;
    capture_.interrupt();
    const std::lock_guard only(receiving_);
    try {
        if (started_)
            last_stats_ = capture_.stats();
    } catch (const Error&) {
        last_stats_ = Stats{}; // nothing is known of an interface that went before its counters were read
    }
    capture_.stop();
    if (current_) {
        const std::lock_guard lock(current_->payload);
        current_->batch.release_payload();
    }
}

Stats PyCapture::stats() {
    if (closed_)
        return last_stats_.value_or(Stats{});
    return capture_.stats();
}

std::vector<std::optional<Frames>> PyCapture::frames() {
    const nb::gil_scoped_release release;
    const std::lock_guard only(receiving_);
    std::vector<std::optional<Frames>> result;
    for (const auto& source : capture_.sources())
        result.push_back(source->frames());
    return result;
}

void bind_capture(nb::module_& m) {
    nb::class_<PyCapture>(m, "Capture")
        .def(nb::init<const std::string&>(), "netns"_a = "")
        .def("add", &PyCapture::add, "engine"_a, "target"_a, "filter"_a, "snaplen"_a, "promisc"_a, "options"_a,
             "take"_a)
        .def("start", &PyCapture::start)
        .def("arrow_stream", [](nb::handle_t<PyCapture> self) { return arrow_stream(nb::borrow(self)); })
        .def("receive", &PyCapture::receive, "timeout_s"_a)
        .def("interrupt", &PyCapture::interrupt)
        .def("close", &PyCapture::close)
        .def_prop_ro("closed", &PyCapture::closed)
        .def(
            "set_filter",
            [](PyCapture& self, const std::string& text) {
                const nb::gil_scoped_release release;
                self.capture().set_filter(text);
            },
            "text"_a)
        .def_prop_ro("filter", [](PyCapture& self) { return self.described().filter(); })
        .def("stats", [](PyCapture& self) { return to_dict(self.stats()); })
        .def("frames", &frames)
        .def("sources", &sources)
        .def("observed", &observed)
        .def("processes", &processes)
        .def("interfaces", &interfaces);
}

} // namespace wirepath::python
