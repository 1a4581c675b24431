// SPDX-License-Identifier: Apache-2.0
#include "engines/pf_ring/module.hpp"

#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <sstream>

#include "core/error.hpp"

namespace wirepath::pf_ring {
namespace {

constexpr std::string_view known_slot_version = "21"; // whose header is 48 bytes (8.x)
constexpr const char* not_loaded = "Load it: modprobe pf_ring. It comes with ntop's package pfring-dkms";

std::string trimmed(std::string_view text) {
    const auto from = text.find_first_not_of(" \t"), to = text.find_last_not_of(" \t\n");
    return from == std::string_view::npos ? std::string() : std::string(text.substr(from, to - from + 1));
}

Fields fields_of(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (const auto colon = line.find(':'); colon != std::string_view::npos)
            fields.emplace(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
    }
    return fields;
}

std::optional<std::string> contents(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf()))
        return std::nullopt;
    return text.str();
}

std::optional<std::uint64_t> number(const Fields& fields, std::string_view name) {
    const auto at = fields.find(name);
    std::uint64_t value = 0;
    if (at == fields.end() ||
        std::from_chars(at->second.data(), at->second.data() + at->second.size(), value).ec != std::errc())
        return std::nullopt;
    return value;
}

std::uint64_t huge_pages() {
    const auto text = contents("/proc/meminfo");
    return text ? number(fields_of(*text), "HugePages_Total").value_or(0) : 0;
}

// nullopt: the library does not list the device.
std::optional<bool> licensed(const Library& library, const std::string& interface) {
    std::optional<bool> found;
    ListedDevice* all = library.findalldevs();
    for (const ListedDevice* one = all; one != nullptr; one = one->next)
        if (one->system_name != nullptr && interface == one->system_name)
            found = found.value_or(false) || one->licence == 1;
    if (all != nullptr)
        library.freealldevs(all);
    return found;
}

} // namespace

// By the thread, which may be in another network namespace than the process.
Module::Module(const Library& library)
    : proc_(library.is_double() ? library.double_root + "/proc" : "/proc/thread-self/net/pf_ring"),
      parameters_(library.is_double() ? library.double_root + "/parameters" : "/sys/module/pf_ring/parameters") {
    const auto text = contents(proc_ + "/info");
    if (!text)
        throw Error(Code::unsupported, "the kernel module pf_ring is not loaded", 0, not_loaded);
    info_ = fields_of(*text);
    version_ = field("PF_RING Version");
    if (const std::string slots = field("Slot version"); slots != known_slot_version)
        throw Error(Code::unsupported,
                    "the kernel module pf_ring " + version_ + " writes slots of version " +
                        (slots.empty() ? "?" : slots),
                    0, "Only version " + std::string(known_slot_version) + " (PF_RING 8) is known here");
}

std::string Module::field(std::string_view name) const {
    const auto at = info_.find(name);
    return at == info_.end() ? std::string() : at->second;
}

std::string Module::parameter(const std::string& name) const {
    return trimmed(contents(parameters_ + "/" + name).value_or(""));
}

bool Module::parameter_is_set(const std::string& name) const {
    const std::string value = parameter(name);
    return !value.empty() && value != "0" && value != "N";
}

std::optional<bool> Module::zero_copy_driver(const std::string& interface) const {
    const auto text = contents(proc_ + "/dev/" + interface + "/info");
    if (!text)
        return std::nullopt;
    const Fields fields = fields_of(*text);
    const auto mode = fields.find("Polling Mode");
    return mode != fields.end() && mode->second.find("ZC") != std::string::npos;
}

// <pid>-<interface>.<ring>, the pid as the first pid namespace counts: which this process may not know.
Fd Module::ring_file(const std::string& interface, std::uint32_t ring) const {
    const std::string end = "-" + interface + "." + std::to_string(ring);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(proc_.c_str()), &::closedir);
    while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr)
        if (std::string_view(entry->d_name).ends_with(end))
            return Fd(::openat(::dirfd(directory.get()), entry->d_name, O_RDONLY | O_CLOEXEC));
    return Fd();
}

std::optional<RingFile> read_ring_file(int fd) {
    char text[4096];
    const ssize_t length = fd < 0 ? -1 : ::pread(fd, text, sizeof text, 0);
    if (length <= 0)
        return std::nullopt;
    const Fields fields = fields_of({text, static_cast<std::size_t>(length)});
    const auto packets = number(fields, "Tot Packets"), lost = number(fields, "Tot Pkt Lost"),
               inserted = number(fields, "Tot Insert"), read = number(fields, "Tot Read");
    if (!packets || !lost || !inserted || !read)
        return std::nullopt;
    const auto filter = fields.find("BPF Filtering");
    return RingFile{*packets, *lost, *inserted, *read, filter != fields.end() && filter->second == "Enabled"};
}

std::string missing_for_zero_copy(const Library& library, const Module& module, const std::string& interface) {
    std::string missing;
    const auto add = [&](const std::string& what) { missing += (missing.empty() ? "" : "; ") + what; };
    if (!module.zero_copy_driver(interface).value_or(false))
        add("its driver is not one of ntop's ZC drivers (package pfring-drivers-zc-dkms; Polling Mode in "
            "/proc/net/pf_ring/dev/" +
            interface + "/info would be NAPI/ZC)");
    if (huge_pages() == 0)
        add("there are no huge pages (sysctl vm.nr_hugepages=1024)");
    if (!licensed(library, interface).value_or(false))
        add("libpfring sees no valid licence for it (/etc/pf_ring; without one ZC ends after five minutes)");
    return missing;
}

} // namespace wirepath::pf_ring
