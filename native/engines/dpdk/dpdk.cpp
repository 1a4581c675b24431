// SPDX-License-Identifier: Apache-2.0
// The half of the engine that is always there. All that touches libdpdk is in plugin/, a module of its own: libdpdk
// brings some 200 libraries, and is loaded by who uses it only.
#include "core/engine.hpp"
#include "core/plugin.hpp"
#include "engines/dpdk/settings.hpp"

namespace wirepath {
namespace {

const Engine& in_plugin() {
    return *static_cast<const Engine*>(plugin("dpdk", "Install DPDK: apt-get install libdpdk-dev, and build again"));
}

Probe probe() {
    try {
        return in_plugin().probe();
    } catch (const Error& error) {
        return {false, error.what()};
    }
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) { return in_plugin().open(request); }

std::unique_ptr<Sender> open_sender(const SendRequest& request) { return in_plugin().open_sender(request); }

std::string takes_from(const OpenRequest& request) { return dpdk::Settings(request).taken_from(); }

} // namespace

extern const Engine dpdk_engine;
const Engine dpdk_engine = {
    .name = "dpdk",
    .target = Takes::interface,
    .takes_packets = true,
    .options = dpdk::option_specs(),
    .probe = probe,
    .open = open,
    .send_options = dpdk::send_option_specs(),
    .open_sender = open_sender,
    .takes_from = takes_from,
};

} // namespace wirepath
