// SPDX-License-Identifier: Apache-2.0
#include "python/bind.hpp"

#ifdef WIREPATH_HAVE_TRACE
#include "trace/copies/counter.hpp"
#endif

namespace wirepath::python {
namespace {

nb::list copy_hooks() {
    nb::list result;
#define COPIES_HOOK(hook, role, attributed, meaning) result.append(nb::make_tuple(#hook, #role, #attributed, meaning));
#include "trace/copies/hooks.def"
    return result;
}

} // namespace

#ifdef WIREPATH_HAVE_TRACE

namespace {

nb::list hooks(const trace::CopyCounter& counter) {
    nb::list result;
    for (const trace::CopyHook& hook : counter.hooks())
        result.append(
            nb::make_tuple(hook.name, hook.role, hook.attributed, hook.meaning, hook.observed_by, hook.reason));
    return result;
}

nb::dict by_hook(const trace::CopyCounter& counter, const std::vector<trace::CopyTally>& tallies) {
    nb::dict result;
    for (std::size_t i = 0; i < tallies.size(); ++i)
        result[nb::str(counter.hooks()[i].name.data(), counter.hooks()[i].name.size())] =
            nb::make_tuple(tallies[i].calls, tallies[i].bytes);
    return result;
}

nb::dict read(const trace::CopyCounter& counter) {
    const trace::CopyCounts counts = counter.read();
    nb::dict result;
    result["receiver"] = by_hook(counter, counts.receiver);
    result["sender"] = by_hook(counter, counts.sender);
    result["system_calls"] = nb::cast(counts.system_calls);
    result["interrupts"] = nb::cast(counts.interrupts);
    return result;
}

using At = std::pair<std::uint32_t, std::uint32_t>;

void count(trace::CopyCounter& counter, std::uint64_t first, std::uint64_t packets, std::uint32_t frame_bytes,
           At receiver, At sender) {
    counter.count({first, packets, frame_bytes, {receiver.first, receiver.second}, {sender.first, sender.second}});
}

} // namespace

void bind_trace_copies(nb::module_& m) {
    m.def("copy_hooks", &copy_hooks);
    nb::class_<trace::CopyCounter>(m, "CopyCounter")
        .def(nb::init<>(), nb::call_guard<nb::gil_scoped_release>())
        .def("hooks", &hooks)
        .def("count", &count, "first"_a, "packets"_a, "frame_bytes"_a, "receiver"_a, "sender"_a)
        .def("receive_here", &trace::CopyCounter::receive_here)
        .def("leave", &trace::CopyCounter::leave)
        .def("pause", &trace::CopyCounter::pause)
        .def("read", &read);
}

#else

namespace {
struct CopyCounter {
    CopyCounter() {
        throw Error(Code::unsupported, "the instruments that trace the kernel were not built", 0,
                    WIREPATH_UNBUILT_TRACE);
    }
};
} // namespace

void bind_trace_copies(nb::module_& m) {
    m.def("copy_hooks", &copy_hooks);
    nb::class_<CopyCounter>(m, "CopyCounter").def(nb::init<>());
}

#endif

} // namespace wirepath::python
