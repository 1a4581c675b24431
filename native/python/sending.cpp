// SPDX-License-Identifier: Apache-2.0
#include "pipeline/sending.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include <nanobind/stl/unique_ptr.h>

#include "pipeline/recording.hpp"
#include "python/sender.hpp"
#include "traffic/flow.hpp"

namespace wirepath::python {
namespace {

std::optional<std::chrono::nanoseconds> duration_of(std::optional<double> seconds) {
    if (!seconds)
        return std::nullopt;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(*seconds, 9e8) * 1e9));
}

const char* name_of(Sending::End end) {
    constexpr std::array names = {"running", "packets", "duration", "interrupted", "end_of_file", "fault"};
    return names[static_cast<std::size_t>(end)];
}

Pace::Kind kind_of(const std::string& name) {
    if (name == "top")
        return Pace::Kind::top;
    return name == "pps" ? Pace::Kind::frames : name == "bps" ? Pace::Kind::bits : Pace::Kind::recorded;
}

template <std::size_t Size>
std::array<std::uint8_t, Size> bytes_of(const nb::bytes& from) {
    std::array<std::uint8_t, Size> to{};
    std::copy_n(static_cast<const std::uint8_t*>(from.data()), std::min(from.size(), Size), to.begin());
    return to;
}

std::unique_ptr<Flow> flow_of(const nb::dict& from) {
    FlowSpec spec;
    spec.ipv6 = nb::cast<bool>(from["ipv6"]);
    spec.tcp = nb::cast<bool>(from["tcp"]);
    spec.tcp_flags = nb::cast<std::uint8_t>(from["tcp_flags"]);
    spec.source_mac = bytes_of<6>(nb::cast<nb::bytes>(from["source_mac"]));
    spec.target_mac = bytes_of<6>(nb::cast<nb::bytes>(from["target_mac"]));
    const auto address = [&](const char* key) {
        const auto pair = nb::cast<std::pair<nb::bytes, std::uint64_t>>(from[key]);
        return FlowSpec::Address{bytes_of<16>(pair.first), pair.second};
    };
    const auto port = [&](const char* key) {
        const auto pair = nb::cast<std::pair<std::uint16_t, std::uint32_t>>(from[key]);
        return FlowSpec::Port{pair.first, pair.second};
    };
    spec.source = address("source");
    spec.target = address("target");
    spec.source_port = port("source_port");
    spec.target_port = port("target_port");
    spec.sizes = nb::cast<std::vector<std::uint32_t>>(from["sizes"]);
    return std::make_unique<Flow>(std::move(spec));
}

std::unique_ptr<Recording> recording_of(const std::string& path, const std::string& filter, bool repeated) {
    const nb::gil_scoped_release release;
    return std::make_unique<Recording>(path, filter, repeated);
}

// Owns the sender's sending side for as long as it runs.
class PySending {
  public:
    PySending(Supply& supply, PySender& sender, const std::string& pace, double value,
              std::optional<std::uint64_t> packets, std::optional<double> seconds, std::uint64_t passes, int cpu)
        : sending_lock_(sender.sending(), std::try_to_lock) {
        if (!sending_lock_.owns_lock())
            throw Error(Code::busy, "another thread is sending with this sender");
        SendingOptions options;
        options.pace = {kind_of(pace), value};
        options.frames = packets;
        options.duration = duration_of(seconds);
        options.passes = passes;
        options.cpu = cpu;
        sending_.emplace(supply, sender.sender(), options);
    }
    ~PySending() { stop(); }
    PySending(const PySending&) = delete;
    PySending& operator=(const PySending&) = delete;

    void start() { sending_->start(); }

    bool wait(double seconds) {
        const nb::gil_scoped_release release;
        return sending_->wait(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
    }

    void interrupt() noexcept { sending_->interrupt(); }

    // Waits for the thread, and throws the fault that ended it, if any.
    void finish() {
        stop();
        if (sending_->fault())
            throw *sending_->fault();
    }

    const Sending& sending() const noexcept { return *sending_; }

  private:
    void stop() noexcept {
        const nb::gil_scoped_release release;
        if (!sending_lock_.owns_lock())
            return;
        sending_->interrupt();
        sending_->join();
        sending_lock_.unlock();
    }

    std::unique_lock<std::mutex> sending_lock_;
    std::optional<Sending> sending_;
};

template <auto Member>
auto figure(const PySending& self) {
    return (self.sending().*Member)();
}

template <auto Member>
std::int64_t time_of(const PySending& self) {
    return (self.sending().*Member)().count();
}

} // namespace

void bind_sending(nb::module_& m) {
    nb::class_<Supply>(m, "Supply").def_prop_ro("has_times", &Supply::has_times);
    nb::class_<Recording, Supply>(m, "Recording").def(nb::new_(&recording_of), "path"_a, "filter"_a, "repeated"_a);
    nb::class_<Flow, Supply>(m, "Flow")
        .def(nb::new_(&flow_of), "spec"_a)
        .def_prop_ro("frames_in_a_pass", &Flow::frames_in_a_pass);
    nb::class_<PySending>(m, "Sending")
        .def(nb::init<Supply&, PySender&, const std::string&, double, std::optional<std::uint64_t>,
                      std::optional<double>, std::uint64_t, int>(),
             "supply"_a, "sender"_a, "pace"_a, "value"_a, "packets"_a, "seconds"_a, "passes"_a, "cpu"_a,
             nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>())
        .def("start", &PySending::start)
        .def("wait", &PySending::wait, "seconds"_a)
        .def("interrupt", &PySending::interrupt)
        .def("finish", &PySending::finish)
        .def_prop_ro("end", [](const PySending& self) { return name_of(self.sending().end()); })
        .def_prop_ro("packets", &figure<&Sending::frames>)
        .def_prop_ro("bytes", &figure<&Sending::bytes>)
        .def_prop_ro("cut", &figure<&Sending::cut>)
        .def_prop_ro("passes", &figure<&Sending::passes>)
        .def_prop_ro("elapsed_ns", &time_of<&Sending::elapsed>)
        .def_prop_ro("asked_ns", &time_of<&Sending::asked>)
        .def_prop_ro("latest_ns", &time_of<&Sending::latest>)
        .def_prop_ro("cpu_ns", &time_of<&Sending::cpu_time>);
}

} // namespace wirepath::python
