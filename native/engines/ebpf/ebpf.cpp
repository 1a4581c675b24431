// SPDX-License-Identifier: Apache-2.0
#include "core/engine.hpp"
#include "engines/ebpf/sender.hpp"
#include "engines/ebpf/source.hpp"

namespace wirepath {
namespace {

using namespace ebpf;

Probe probe() {
    try {
        Program::check_loadable();
    } catch (const Error& error) {
        return {false, error.what()};
    }
    return {true, {}};
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    std::vector<std::unique_ptr<Source>> sources;
    sources.push_back(std::make_unique<RingSource>(request, Settings(request)));
    return sources;
}

} // namespace

extern const Engine ebpf_engine;
const Engine ebpf_engine = {
    "ebpf", Takes::interface, false, option_specs(), probe, open, send_options(), open_sender,
};

} // namespace wirepath
