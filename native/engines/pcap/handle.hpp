// SPDX-License-Identifier: Apache-2.0
// A libpcap handle, opened as the engine's options say.
#pragma once

#include <array>
#include <memory>

#include "core/engine.hpp"
#include "linux/libpcap.hpp"

namespace wirepath::pcap {

inline constexpr std::array options{
    OptionSpec{"buffer_size", OptionSpec::Kind::integer, "bytes", "16M", "libpcap's ring in the kernel's memory"},
    OptionSpec{"timeout_ms", OptionSpec::Kind::integer, "ms", "5",
               "libpcap hands packets over together, after this long at the latest"},
    OptionSpec{"immediate", OptionSpec::Kind::boolean, "", "off", "hand each packet over as it comes"},
    OptionSpec{
        "timestamp_type", OptionSpec::Kind::text, "", "",
        "one of those that the device offers: host, host_lowprec, host_hiprec, adapter, adapter_unsynced; empty: "
        "libpcap's choice"},
    OptionSpec{"linktype", OptionSpec::Kind::text, "", "",
               "one of those that the device offers, by its name (EN10MB) or number; empty: libpcap's choice"},
    OptionSpec{"rfmon", OptionSpec::Kind::boolean, "", "off", "monitor mode, of a wireless interface"},
    OptionSpec{"direction", OptionSpec::Kind::text, "", "inout", "packets that come in, that this host sends, or both",
               "inout|in|out"},
};

struct Close {
    bool leave = false;
    void operator()(pcap_t* handle) const {
        if (!leave)
            libpcap().close(handle);
    }
};
using Handle = std::unique_ptr<pcap_t, Close>;

int timeout_of(const Options& given);
// Throws Error.
Handle activate(const OpenRequest& request, const Options& given, std::uint32_t snaplen);

} // namespace wirepath::pcap
