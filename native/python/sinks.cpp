// SPDX-License-Identifier: Apache-2.0
#include "python/sinks.hpp"

#include "sinks/count.hpp"
#include "sinks/tee.hpp"

namespace wirepath::python {

void PySink::write(const PyBatch& batch) {
    const auto [base, lease] = batch.payload(); // pinned while it is written
    const nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    if (ended_)
        throw Error(Code::closed, "the writer is closed");
    if (!begun_) {
        Info info;
        info.interfaces = batch.state().interfaces;
        sink_->begin(info);
        begun_ = true;
    }
    const Status status = sink_->consume(batch.batch(), {0, batch.batch().size()});
    if (status != Status::ok && status != Status::end_of_file)
        throw sink_->fault();
}

void PySink::end(const Stats& stats) {
    const nb::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true) || !begun_)
        return;
    if (sink_->end(stats) != Status::ok)
        throw sink_->fault();
}

void PySink::close() { end(Stats{}); }

namespace {

void make_tee(PySinkOf<TeeSink>* at, const std::vector<PySink*>& sinks) {
    if (sinks.empty())
        throw nb::value_error("a tee needs a sink");
    std::vector<Sink*> inner;
    for (PySink* sink : sinks)
        inner.push_back(&sink->sink());
    new (at) PySinkOf<TeeSink>(std::make_unique<TeeSink>(std::move(inner)));
}

} // namespace

void bind_sinks(nb::module_& m) {
    nb::class_<PySink>(m, "Sink")
        .def("write", &PySink::write, "batch"_a)
        .def("close", &PySink::close)
        .def("__enter__", [](nb::handle_t<PySink> self) { return nb::borrow(self); })
        .def("__exit__", [](PySink& self, const nb::args&) { self.close(); });
    nb::class_<PySinkOf<TeeSink>, PySink>(m, "TeeSink").def("__init__", &make_tee, "sinks"_a, nb::keep_alive<1, 2>());
    nb::class_<PySinkOf<CountSink>, PySink>(m, "CountSink")
        .def("__init__", [](PySinkOf<CountSink>* at) { new (at) PySinkOf<CountSink>(std::make_unique<CountSink>()); })
        .def_prop_ro("packets", [](PySinkOf<CountSink>& self) { return self.typed().packets(); })
        .def_prop_ro("bytes", [](PySinkOf<CountSink>& self) { return self.typed().bytes(); });
}

} // namespace wirepath::python
