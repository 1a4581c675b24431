// SPDX-License-Identifier: Apache-2.0
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

} // namespace

void bind_nic(nb::module_& m) {
    nb::class_<PollCounter>(m, "PollCounter")
        .def(nb::init<std::uint32_t, std::uint32_t>(), "ifindex"_a, "netns"_a)
        .def("read", &read_polls);
}

} // namespace wirepath::python
