// SPDX-License-Identifier: Apache-2.0
#include "linux/nic_interrupts.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace wirepath {
namespace {

// The PCI device is the interface's own, or what that stands on (virtio).
std::string pci_device(const std::string& name, const Sysfs& sysfs) {
    for (const char* level : {"/device", "/device/.."})
        if (const std::string path = "class/net/" + name + level; sysfs.link(path + "/subsystem") == "pci")
            return path;
    return {};
}

void add(std::set<std::uint64_t>& to, const std::string& text) {
    if (!text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
        to.insert(std::stoull(text));
}

// "25:   17   0   PCI-MSIX-0000:00:04.0   0-edge   eth0-rx-0": a count for each CPU.
std::uint64_t sum_of(std::istringstream& fields, std::size_t cpus) {
    std::uint64_t sum = 0, count = 0;
    for (std::size_t cpu = 0; cpu < cpus && fields >> count; ++cpu)
        sum += count;
    return sum;
}

} // namespace

NicInterrupts::NicInterrupts(std::string name, const Sysfs& sysfs, const std::vector<NapiInstance>& napis)
    : name_(std::move(name)) {
    for (const NapiInstance& napi : napis)
        if (napi.irq)
            told_.insert(*napi.irq);
    const std::string device = sysfs ? pci_device(name_, sysfs) : "";
    if (device.empty())
        return;
    const std::vector<std::string> messages = sysfs.list(device + "/msi_irqs");
    for (const std::string& number : messages)
        add(told_, number);
    if (messages.empty())
        add(told_, sysfs.read(device + "/irq").value_or(""));
}

bool NicInterrupts::is_ours(const std::string& line, std::uint64_t number) const {
    if (told_.count(number) != 0)
        return true;
    const std::size_t at = line.rfind(name_);
    if (at == std::string::npos || at == 0)
        return false;
    const char before = line[at - 1], after = at + name_.size() < line.size() ? line[at + name_.size()] : ' ';
    return std::string_view(" ,@").find(before) != std::string_view::npos &&
           std::string_view(" ,-").find(after) != std::string_view::npos;
}

std::optional<std::uint64_t> NicInterrupts::total() const {
    std::ifstream file("/proc/interrupts");
    std::string line;
    std::getline(file, line);
    std::istringstream heads(line);
    std::size_t cpus = 0;
    for (std::string head; heads >> head;)
        ++cpus;
    std::optional<std::uint64_t> sum;
    while (std::getline(file, line)) {
        std::istringstream fields(line);
        std::uint64_t number = 0;
        char colon = 0;
        if (fields >> number >> colon && colon == ':' && is_ours(line, number))
            sum = sum.value_or(0) + sum_of(fields, cpus);
    }
    return sum;
}

} // namespace wirepath
