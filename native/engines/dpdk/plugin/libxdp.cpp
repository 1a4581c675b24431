// SPDX-License-Identifier: Apache-2.0
#include "engines/dpdk/plugin/libxdp.hpp"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <linux/bpf.h>
#include <string>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/dpdk/plugin/kernel_side.hpp"

namespace wirepath::dpdk {
namespace {

constexpr std::string_view prefix = "xsk_def_"; // of the names that libxdp gives

struct Switch {
    const char *library, *function;
};
constexpr std::array switches = {Switch{"libxdp.so.1", "libxdp_set_print"}, Switch{"libbpf.so.1", "libbpf_set_print"}};

template <typename Information>
bool ask(int fd, Information& into) {
    bpf_attr attributes{};
    attributes.info.bpf_fd = static_cast<std::uint32_t>(fd);
    attributes.info.info_len = sizeof into;
    attributes.info.info = reinterpret_cast<std::uintptr_t>(&into);
    return ::syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes) == 0;
}

template <typename Information>
std::uint32_t number(int fd) {
    Information information{};
    return ask(fd, information) && std::string_view(information.name).starts_with(prefix) ? information.id : 0;
}

// The number of libxdp's map or program; 0: it is none of them.
std::uint32_t number_of(int fd) {
    char link[64] = {};
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(path.c_str(), link, sizeof link - 1) < 0)
        return 0;
    const std::string_view kind(link);
    return kind == "anon_inode:bpf-map"    ? number<bpf_map_info>(fd)
           : kind == "anon_inode:bpf-prog" ? number<bpf_prog_info>(fd)
                                           : 0;
}

} // namespace

QuietLibxdp::QuietLibxdp() noexcept {
    for (std::size_t i = 0; i < switches.size(); ++i) {
        void* library = ::dlopen(switches[i].library, RTLD_NOW | RTLD_NOLOAD);
        if (library == nullptr)
            continue;
        if (void* function = ::dlsym(library, switches[i].function)) {
            const auto print = reinterpret_cast<Print>(function);
            before_[i] = {print, print(nullptr)};
        }
        ::dlclose(library); // the driver keeps it
    }
}

QuietLibxdp::~QuietLibxdp() {
    for (const auto& [print, before] : before_)
        if (print != nullptr)
            print(before);
}

std::vector<LibxdpDescriptor> libxdp_descriptors() {
    std::vector<LibxdpDescriptor> list;
    for (const int fd : open_descriptors())
        if (const std::uint32_t number = number_of(fd); number != 0)
            list.emplace_back(fd, number);
    return list;
}

void LibxdpDescriptors::note(const std::vector<LibxdpDescriptor>& before) {
    for (const LibxdpDescriptor& now : libxdp_descriptors())
        if (std::find(before.begin(), before.end(), now) == before.end())
            noted_.push_back(now);
}

void LibxdpDescriptors::close_forgotten() noexcept {
    for (const auto& [fd, number] : std::exchange(noted_, {}))
        if (number_of(fd) == number)
            ::close(fd);
}

} // namespace wirepath::dpdk
