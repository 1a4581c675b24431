// SPDX-License-Identifier: Apache-2.0
#include "python/bind.hpp"

NB_MODULE(_core, m) {
    using namespace wirepath::python;
    m.doc() = "The native half of wirepath. Use `import wirepath`.";
    bind_errors(m);
    bind_engines(m);
    bind_filter(m);
    bind_filter_machines(m);
    bind_batch(m);
    bind_capture(m);
    bind_sinks(m);
    bind_print(m);
    bind_files(m);
    bind_summary(m);
    bind_pipeline(m);
    bind_sender(m);
    bind_sending(m);
    bind_trace(m);
    bind_nic(m);
    bind_trace_packets(m);
    bind_trace_copies(m);
    bind_drops(m);
}
