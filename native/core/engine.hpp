// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "core/sender.hpp"
#include "core/source.hpp"

namespace wirepath {

// What every engine understands. What only some do is among their options.
struct OpenRequest {
    std::string target;             // an interface's name, "any", or a file's path ("-": standard input)
    std::uint32_t snaplen = 262144; // bytes of a packet that are kept
    bool promisc = true;
    bool take = false; // packets may be kept from the host, also on the interface of the default route
    std::map<std::string, std::string> options; // the engine's own
    std::shared_ptr<InterfaceTable> interfaces = std::make_shared<InterfaceTable>();
};

struct Probe {
    bool usable;
    std::string reason; // why not, and what would help; empty if usable
};

enum class Takes : std::uint8_t { interface, file };

// The only symbol that an engine exports.
struct Engine {
    std::string_view name;
    Takes target;
    bool takes_packets; // what it captures does not reach the host's network stack
    std::span<const OptionSpec> options;
    Probe (*probe)();
    // One source a queue or fanout member. None is bound to the interface before its start(), so that a filter can be
    // set before the first packet. Throws Error.
    std::vector<std::unique_ptr<Source>> (*open)(const OpenRequest& request);
    // For who sends: options of their own, and a sender on the interface. nullptr: it cannot send. Throws Error.
    std::span<const OptionSpec> send_options = {};
    std::unique_ptr<Sender> (*open_sender)(const SendRequest& request) = nullptr;
    // Where takes_packets depends on the request: the interface that packets would be taken from, empty if none are.
    // Throws Error. nullptr: the target.
    std::string (*takes_from)(const OpenRequest& request) = nullptr;
};

// A row of the registry: every engine of engines.def, built or not.
struct Registered {
    std::string_view name;
    std::string_view summary;
    const Engine* engine;     // nullptr: not built
    std::string_view unbuilt; // why
};

std::span<const Registered> registry() noexcept;
const Engine& engine_named(std::string_view name); // throws Error not_found or unsupported
std::unique_ptr<Sender> open_sender(std::string_view engine, const SendRequest& request); // throws Error

} // namespace wirepath
