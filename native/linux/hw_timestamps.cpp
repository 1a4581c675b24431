// SPDX-License-Identifier: Apache-2.0
#include "linux/hw_timestamps.hpp"

#include <cerrno>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <utility>

#include "core/error.hpp"

namespace wirepath {
namespace {

bool request(int socket, unsigned long what, const std::string& interface, void* data) {
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    request.ifr_data = static_cast<char*>(data);
    return ::ioctl(socket, what, &request) == 0;
}

// SYS_HARDWARE: the driver converts to the host's time. RAW_HARDWARE: the adapter's own clock.
std::uint32_t wanted_of(Clock clock) {
    return clock == Clock::adapter ? SOF_TIMESTAMPING_SYS_HARDWARE : SOF_TIMESTAMPING_RAW_HARDWARE;
}

void check_driver(int socket, const std::string& interface, Clock clock) {
    ethtool_ts_info info{};
    info.cmd = ETHTOOL_GET_TS_INFO;
    const bool asked = request(socket, SIOCETHTOOL, interface, &info);
    const bool hardware = asked && (info.so_timestamping & SOF_TIMESTAMPING_RX_HARDWARE) != 0;
    if (!hardware)
        throw Error(Code::unsupported, "the driver of " + interface + " takes no timestamps in hardware", 0,
                    "Use timestamps=host");
    if ((info.so_timestamping & wanted_of(clock)) == 0)
        throw Error(Code::unsupported,
                    "the driver of " + interface + " does not convert hardware timestamps to the host's time", 0,
                    "Use timestamps=adapter_unsynced, whose clock is the adapter's own");
}

} // namespace

void HardwareTimestamps::enable(int socket, const std::string& interface, Clock clock) {
    if (clock == Clock::host)
        return;
    check_driver(socket, interface, clock);
    const bool known = request(socket, SIOCGHWTSTAMP, interface, &before_);
    if (known && before_.rx_filter == HWTSTAMP_FILTER_ALL)
        return;
    hwtstamp_config config{};
    config.tx_type = known ? before_.tx_type : static_cast<int>(HWTSTAMP_TX_OFF);
    config.rx_filter = HWTSTAMP_FILTER_ALL;
    if (!request(socket, SIOCSHWTSTAMP, interface, &config))
        throw Error::from_errno("asking " + interface + " for a timestamp of every packet", errno);
    interface_ = interface;
    changed_ = true;
    if (config.rx_filter != HWTSTAMP_FILTER_ALL) {
        restore(socket);
        throw Error(Code::unsupported, interface + " takes timestamps in hardware, but not of every packet", 0,
                    "Use timestamps=host");
    }
}

void HardwareTimestamps::restore(int socket) noexcept {
    if (std::exchange(changed_, false))
        request(socket, SIOCSHWTSTAMP, interface_, &before_);
}

KeptHardwareTimestamps::KeptHardwareTimestamps(int socket, std::string interface) noexcept
    : socket_(socket), interface_(std::move(interface)), known_(request(socket, SIOCGHWTSTAMP, interface_, &before_)) {}

KeptHardwareTimestamps::~KeptHardwareTimestamps() {
    hwtstamp_config now{};
    if (known_ && request(socket_, SIOCGHWTSTAMP, interface_, &now) &&
        (now.rx_filter != before_.rx_filter || now.tx_type != before_.tx_type))
        request(socket_, SIOCSHWTSTAMP, interface_, &before_);
}

Clock clock_named(const std::string& name) {
    return name == "adapter" ? Clock::adapter : name == "adapter_unsynced" ? Clock::adapter_unsynced : Clock::host;
}

std::string name_of(Clock clock) {
    return clock == Clock::adapter ? "adapter" : clock == Clock::adapter_unsynced ? "adapter_unsynced" : "host";
}

} // namespace wirepath
