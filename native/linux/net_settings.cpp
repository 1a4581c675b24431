// SPDX-License-Identifier: Apache-2.0
#include "linux/net_settings.hpp"

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>

#include "core/error.hpp"
#include "linux/netdevice.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath {
namespace {

struct Place {
    int ifindex = 0;
    std::uint32_t napi = 0; // 0: the interface as a whole
};

Place place_of(const HostSetting& setting) {
    Place place;
    std::istringstream text(setting.place); // if/IFINDEX or if/IFINDEX/napi/ID
    text.ignore(3) >> place.ifindex;
    text.ignore(6) >> place.napi;
    return place;
}

// A cookie is never used again, an inode number is (before Linux 5.14).
std::string scope_of(int socket) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (::getsockopt(socket, SOL_SOCKET, uapi::so_netns_cookie, &cookie, &size) == 0)
        return "net/" + std::to_string(cookie);
    struct stat found{};
    ::stat("/proc/thread-self/ns/net", &found);
    return "net/inode/" + std::to_string(found.st_ino);
}

std::uint16_t attribute_named(const std::string& name) {
    return name == "threaded"            ? uapi::netdev_a_napi_threaded
           : name == "gro_flush_timeout" ? uapi::netdev_a_napi_gro_flush_timeout
                                         : uapi::netdev_a_napi_defer_hard_irqs;
}

std::optional<std::uint64_t> value_in(const NapiInstance& napi, const std::string& name) {
    return name == "threaded"            ? napi.threaded
           : name == "gro_flush_timeout" ? napi.gro_flush_timeout_ns
                                         : napi.defer_hard_irqs;
}

} // namespace

NetSettings::NetSettings() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    if (!socket_)
        throw Error::from_errno("opening a socket", errno);
    scope_ = scope_of(socket_.get());
}

HostSetting NetSettings::of_interface(int ifindex, const std::string& name) const {
    return {scope_, "if/" + std::to_string(ifindex), name};
}

HostSetting NetSettings::of_napi(int ifindex, std::uint32_t napi, const std::string& name) const {
    return {scope_, "if/" + std::to_string(ifindex) + "/napi/" + std::to_string(napi), name};
}

std::string NetSettings::file_of(int ifindex, const std::string& name) const {
    return "class/net/" + netdevice_name(socket_.get(), ifindex) + "/" + name;
}

std::optional<std::string> NetSettings::read(const HostSetting& setting) {
    const Place place = place_of(setting);
    if (place.napi == 0)
        return sysfs_ ? sysfs_.read(file_of(place.ifindex, setting.name)) : std::nullopt;
    for (const NapiInstance& napi : napis(place.ifindex))
        if (const auto value = value_in(napi, setting.name); napi.id == place.napi && value)
            return std::to_string(*value);
    return std::nullopt;
}

int NetSettings::write(const HostSetting& setting, const std::string& value) {
    const Place place = place_of(setting);
    if (place.napi == 0)
        return sysfs_.write(file_of(place.ifindex, setting.name), value);
    return netdev_.set_napi(place.napi, attribute_named(setting.name), std::strtoull(value.c_str(), nullptr, 10));
}

std::size_t heal_network_settings() noexcept {
    if (!HostChanges::any())
        return 0;
    try {
        NetSettings settings;
        return HostChanges().heal(settings);
    } catch (const std::exception&) {
        return 0; // what is left stays in the file, for who may put it back
    }
}

std::vector<HostSetting> network_settings_left_behind() {
    if (!HostChanges::any())
        return {};
    return HostChanges().left_behind(NetSettings().scope());
}

} // namespace wirepath
