// SPDX-License-Identifier: Apache-2.0
#include "linux/net_settings.hpp"
#include "python/bind.hpp"

#ifdef WIREPATH_HAVE_TRACE
#include "trace/polls.hpp"
#endif

namespace wirepath::python {
namespace {

#ifdef WIREPATH_HAVE_TRACE

using trace::PollCounter;

nb::dict read_polls(const PollCounter& counter) {
    const poll_counts counted = counter.read();
    nb::dict result;
    result["polls"] = counted.polls;
    result["packets"] = counted.packets;
    result["empty"] = counted.empty;
    result["full"] = counted.full;
    return result;
}

#else

class PollCounter {
  public:
    PollCounter(std::uint32_t, std::uint32_t) {
        throw Error(Code::unsupported, "the instruments that trace the kernel were not built", 0,
                    WIREPATH_UNBUILT_TRACE);
    }
};

nb::dict read_polls(const PollCounter&) { return {}; }

#endif

nb::list settings_left_behind() {
    nb::list result;
    for (const HostSetting& setting : network_settings_left_behind())
        result.append(nb::make_tuple(setting.place, setting.name));
    return result;
}

} // namespace

void bind_nic(nb::module_& m) {
    nb::class_<PollCounter>(m, "PollCounter")
        .def(nb::init<std::uint32_t, std::uint32_t>(), "ifindex"_a, "netns"_a)
        .def("read", &read_polls);
    m.def("heal_network_settings", &heal_network_settings);
    m.def("network_settings_left_behind", &settings_left_behind);
}

} // namespace wirepath::python
