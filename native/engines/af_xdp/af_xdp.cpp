// SPDX-License-Identifier: Apache-2.0
#include "core/engine.hpp"
#include "engines/af_xdp/sender.hpp"
#include "engines/af_xdp/source.hpp"

namespace wirepath {
namespace {

using namespace af_xdp;

Probe probe() {
    try {
        make_socket();
        Program::check_loadable();
    } catch (const Error& error) {
        return {false, error.what()};
    }
    return {true, {}};
}

std::string queue_list(const Device& device, const std::vector<std::uint32_t>& covered) {
    std::string list;
    for (std::uint32_t queue = 0, next = 0; queue < device.queues; ++queue) {
        if (next < covered.size() && covered[next] == queue)
            ++next;
        else
            list += (list.empty() ? "" : ", ") + std::to_string(queue);
    }
    return list;
}

Info info_for(const OpenRequest& request, const Device& device, const Settings& settings) {
    Info info;
    info.engine = "af_xdp";
    info.takes_packets = true;
    info.interfaces = request.interfaces;
    Interface interface;
    interface.name = device.name;
    interface.ifindex = static_cast<std::uint32_t>(device.ifindex);
    interface.snaplen = request.snaplen;
    interface.mac = device.mac;
    interface.speed_bps = device.speed_bps;
    interface.hardware = device.driver;
    info.interface = info.interfaces->add(std::move(interface));
    info.notes.push_back(
        "packets of the queues that match the filter are taken; what does not match goes on to the stack");
    if (const std::string missing = queue_list(device, settings.queues); !missing.empty())
        info.notes.push_back("receive queues that are not captured: " + missing);
    return info;
}

std::vector<std::unique_ptr<Source>> open(const OpenRequest& request) {
    const Device device = Device::named(request.target);
    const Settings settings(request, device);
    const auto program = std::make_shared<Program>(device, settings);
    Info info = info_for(request, device, settings);
    info.notes.insert(info.notes.end(), program->notes().begin(), program->notes().end());
    std::vector<std::unique_ptr<Source>> sources;
    for (const std::uint32_t queue : settings.queues) {
        sources.push_back(std::make_unique<QueueSource>(device, queue, program, settings, info));
        info.notes.clear(); // they are the capture's, and said once
    }
    return sources;
}

} // namespace

extern const Engine af_xdp_engine;
const Engine af_xdp_engine = {
    "af_xdp", Takes::interface, true, option_specs(), probe, open, send_options(), af_xdp::open_sender,
};

} // namespace wirepath
