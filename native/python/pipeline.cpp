// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pipeline.hpp"

#include <array>

#include "python/capture.hpp"
#include "python/sinks.hpp"

namespace wirepath::python {
namespace {

std::optional<std::chrono::nanoseconds> duration_of(std::optional<double> seconds) {
    if (!seconds)
        return std::nullopt;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(*seconds * 1e9));
}

const char* name_of(Pipeline::End end) {
    constexpr std::array names = {"running", "packets", "duration", "interrupted", "end_of_file", "sink", "fault"};
    return names[static_cast<std::size_t>(end)];
}

// Owns the capture's receiving side and the sink for as long as it runs.
class PyPipeline {
  public:
    PyPipeline(PyCapture& capture, PySink& sink, std::optional<std::uint64_t> packets, std::optional<double> seconds,
               std::vector<int> cpus, bool ordered)
        : capture_(capture), sink_(sink), receiving_(capture.receiving(), std::try_to_lock) {
        if (!receiving_.owns_lock())
            throw Error(Code::busy, "another thread is receiving from this capture");
        PipelineOptions options;
        options.packets = packets;
        options.duration = duration_of(seconds);
        options.cpus = std::move(cpus);
        options.ordered = ordered;
        pipeline_.emplace(capture.capture(), sink.sink(), std::move(options));
        sink.mark_begun();
    }
    ~PyPipeline() { stop(); }
    PyPipeline(const PyPipeline&) = delete;
    PyPipeline& operator=(const PyPipeline&) = delete;

    void start() { pipeline_->start(); }

    bool wait(double seconds) {
        const nb::gil_scoped_release release;
        return pipeline_->wait(std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9)));
    }

    void interrupt() noexcept { pipeline_->interrupt(); }

    // Waits for the threads, ends the sink with the capture's statistics, and throws the fault that ended it, if any.
    void finish() {
        stop();
        end_interfaces();
        sink_.end(capture_.stats());
        if (pipeline_->fault())
            throw *pipeline_->fault();
    }

    const Pipeline& pipeline() const noexcept { return *pipeline_; }

  private:
    void stop() noexcept {
        const nb::gil_scoped_release release;
        if (!receiving_.owns_lock())
            return;
        pipeline_->interrupt();
        pipeline_->join();
        receiving_.unlock();
    }

    void end_interfaces() {
        std::map<std::uint16_t, Stats> stats; // of all queues of each interface
        for (const auto& source : capture_.described().sources()) {
            const auto [at, first] = stats.try_emplace(source->info().interface, source->stats());
            if (!first)
                at->second += source->stats();
        }
        for (const auto& [interface, of_it] : stats)
            sink_.sink().interface_ends(interface, of_it);
    }

    PyCapture& capture_;
    PySink& sink_;
    std::unique_lock<std::mutex> receiving_;
    std::optional<Pipeline> pipeline_;
};

} // namespace

void bind_pipeline(nb::module_& m) {
    nb::class_<PyPipeline>(m, "Pipeline")
        .def(nb::init<PyCapture&, PySink&, std::optional<std::uint64_t>, std::optional<double>, std::vector<int>,
                      bool>(),
             "capture"_a, "sink"_a, "packets"_a, "seconds"_a, "cpus"_a, "ordered"_a, nb::keep_alive<1, 2>(),
             nb::keep_alive<1, 3>())
        .def("start", &PyPipeline::start)
        .def("wait", &PyPipeline::wait, "seconds"_a)
        .def("interrupt", &PyPipeline::interrupt)
        .def("finish", &PyPipeline::finish)
        .def_prop_ro("end", [](const PyPipeline& self) { return name_of(self.pipeline().end()); })
        .def_prop_ro("packets", [](const PyPipeline& self) { return self.pipeline().packets(); })
        .def_prop_ro("bytes", [](const PyPipeline& self) { return self.pipeline().bytes(); })
        .def_prop_ro("out_of_order", [](const PyPipeline& self) { return self.pipeline().out_of_order(); })
        .def_prop_ro("cpu_ns", [](const PyPipeline& self) { return self.pipeline().cpu_time().count(); });
}

} // namespace wirepath::python
