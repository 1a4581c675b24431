// SPDX-License-Identifier: Apache-2.0
#include "python/bind.hpp"

#ifdef WIREPATH_HAVE_TRACE
#include "trace/hooks.hpp"
#endif

namespace wirepath::python {
namespace {

#ifdef WIREPATH_HAVE_TRACE

nb::list trace_hooks() {
    std::vector<trace::HookKind> found;
    {
        const nb::gil_scoped_release release;
        found = trace::probe_hooks();
    }
    nb::list result;
    for (const trace::HookKind& kind : found)
        result.append(nb::make_tuple(kind.name, kind.usable, kind.reason));
    return result;
}

#else

nb::list trace_hooks() {
    throw Error(Code::unsupported, "the instruments that trace the kernel were not built", 0, WIREPATH_UNBUILT_TRACE);
}

#endif

} // namespace

void bind_trace(nb::module_& m) { m.def("trace_hooks", &trace_hooks, "(kind, usable, why not) of each kind of hook."); }

} // namespace wirepath::python
