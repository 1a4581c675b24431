// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/processes.hpp"

#include <array>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <packets.skel.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.hpp"

namespace wirepath::ebpf {
namespace {

constexpr std::size_t most_paths = 4096;

Process to_process(const socket_maker& maker, const maker_process& from, const std::string& cgroup) {
    return {maker.pid, maker.netns, std::string(from.command, ::strnlen(from.command, sizeof from.command)),
            from.cgroup, cgroup};
}

std::optional<std::array<std::byte, 16>> address_of(const sockaddr* from) {
    std::array<std::byte, 16> address{};
    if (from == nullptr || (from->sa_family != AF_INET && from->sa_family != AF_INET6))
        return std::nullopt;
    if (from->sa_family == AF_INET6) {
        std::memcpy(address.data(), &reinterpret_cast<const sockaddr_in6*>(from)->sin6_addr, address.size());
        return address;
    }
    address[10] = address[11] = std::byte{0xff};
    std::memcpy(&address[12], &reinterpret_cast<const sockaddr_in*>(from)->sin_addr, 4);
    return address;
}

// Of the thread's network namespace.
void fill_local_addresses(int map) {
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0)
        throw Error::from_errno("asking for this host's addresses", errno);
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> addresses(first, ::freeifaddrs);
    const std::uint8_t yes = 1;
    for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next)
        if (const auto address = address_of(one->ifa_addr))
            bpf_map_update_elem(map, address->data(), &yes, BPF_ANY); // full: the rest stays unknown
}

void run_iterator(const bpf_program* program) {
    const std::string doing = "looking for the sockets that are open";
    const Fd link(bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, nullptr));
    const Fd iterator(link ? bpf_iter_create(link.get()) : -1);
    if (!iterator)
        throw Error::from_errno(doing, errno);
    std::array<char, 4096> nothing;
    ssize_t got = 0;
    do
        got = ::read(iterator.get(), nothing.data(), nothing.size());
    while (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)));
    if (got < 0)
        throw Error::from_errno(doing, errno);
}

} // namespace

std::uint32_t own_pid_namespace() noexcept {
    struct stat found{};
    return ::stat("/proc/self/ns/pid", &found) == 0 ? static_cast<std::uint32_t>(found.st_ino) : 0;
}

ProcessTable::ProcessTable(int map) : map_(::fcntl(map, F_DUPFD_CLOEXEC, 3)), cgroups_(Cgroups::open()) {
    if (!map_)
        throw Error::from_errno("keeping the table of processes", errno);
}

const std::string& ProcessTable::cgroup_path(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    if (paths_.size() == most_paths)
        paths_.clear();
    const auto [at, is_new] = paths_.try_emplace(id);
    if (is_new)
        at->second = cgroups_.path_of(id);
    return at->second;
}

std::optional<Process> ProcessTable::find(std::uint32_t pid, std::uint32_t netns) {
    const socket_maker maker{pid, netns};
    maker_process found{};
    if (bpf_map_lookup_elem(map_.get(), &maker, &found) != 0)
        return std::nullopt;
    return to_process(maker, found, cgroup_path(found.cgroup));
}

std::vector<Process> ProcessTable::all() {
    std::vector<Process> processes;
    socket_maker maker{};
    for (const socket_maker* before = nullptr; bpf_map_get_next_key(map_.get(), before, &maker) == 0; before = &maker)
        if (std::optional<Process> found = find(maker.pid, maker.netns))
            processes.push_back(std::move(*found));
    return processes;
}

SocketMakers::SocketMakers(const packets_bpf& skeleton, const Cgroups& cgroups) {
    fill_local_addresses(bpf_map__fd(skeleton.maps.local_addresses));
    if (cgroups)
        link_ = Fd(bpf_link_create(bpf_program__fd(skeleton.progs.note_maker), cgroups.root(),
                                   BPF_CGROUP_INET_SOCK_CREATE, nullptr));
    if (!link_)
        note_ = std::string("processes: only sockets that are open already are known, since ") +
                (cgroups ? std::string("no program could be attached to the root cgroup: ") + std::strerror(errno)
                         : std::string("there is no cgroup v2 hierarchy"));
    run_iterator(skeleton.progs.note_holders);
}

} // namespace wirepath::ebpf
