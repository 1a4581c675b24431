// SPDX-License-Identifier: Apache-2.0
// libpcap, loaded when it is first needed: its file is libpcap.so.1 on most distributions, libpcap.so.0.8 on Debian,
// and its absence breaks nothing but what needs it. Never include this beside <linux/bpf.h>: both define struct
// bpf_insn.
#pragma once

#include <cstdint>
#include <pcap/pcap.h>
#include <type_traits>

namespace wirepath {

// WIREPATH_PCAP(function): everything of libpcap that is used.
#define WIREPATH_PCAP_FUNCTIONS                                                                                        \
    WIREPATH_PCAP(activate)                                                                                            \
    WIREPATH_PCAP(breakloop)                                                                                           \
    WIREPATH_PCAP(can_set_rfmon)                                                                                       \
    WIREPATH_PCAP(close)                                                                                               \
    WIREPATH_PCAP(compile)                                                                                             \
    WIREPATH_PCAP(create)                                                                                              \
    WIREPATH_PCAP(datalink)                                                                                            \
    WIREPATH_PCAP(datalink_name_to_val)                                                                                \
    WIREPATH_PCAP(datalink_val_to_description)                                                                         \
    WIREPATH_PCAP(datalink_val_to_name)                                                                                \
    WIREPATH_PCAP(dispatch)                                                                                            \
    WIREPATH_PCAP(findalldevs)                                                                                         \
    WIREPATH_PCAP(free_datalinks)                                                                                      \
    WIREPATH_PCAP(free_tstamp_types)                                                                                   \
    WIREPATH_PCAP(freealldevs)                                                                                         \
    WIREPATH_PCAP(freecode)                                                                                            \
    WIREPATH_PCAP(geterr)                                                                                              \
    WIREPATH_PCAP(get_selectable_fd)                                                                                   \
    WIREPATH_PCAP(get_tstamp_precision)                                                                                \
    WIREPATH_PCAP(inject)                                                                                              \
    WIREPATH_PCAP(lib_version)                                                                                         \
    WIREPATH_PCAP(list_datalinks)                                                                                      \
    WIREPATH_PCAP(list_tstamp_types)                                                                                   \
    WIREPATH_PCAP(offline_filter)                                                                                      \
    WIREPATH_PCAP(open_dead)                                                                                           \
    WIREPATH_PCAP(set_buffer_size)                                                                                     \
    WIREPATH_PCAP(set_datalink)                                                                                        \
    WIREPATH_PCAP(set_immediate_mode)                                                                                  \
    WIREPATH_PCAP(set_promisc)                                                                                         \
    WIREPATH_PCAP(set_rfmon)                                                                                           \
    WIREPATH_PCAP(set_snaplen)                                                                                         \
    WIREPATH_PCAP(set_timeout)                                                                                         \
    WIREPATH_PCAP(set_tstamp_precision)                                                                                \
    WIREPATH_PCAP(set_tstamp_type)                                                                                     \
    WIREPATH_PCAP(setdirection)                                                                                        \
    WIREPATH_PCAP(setfilter)                                                                                           \
    WIREPATH_PCAP(setnonblock)                                                                                         \
    WIREPATH_PCAP(snapshot)                                                                                            \
    WIREPATH_PCAP(stats)                                                                                               \
    WIREPATH_PCAP(statustostr)                                                                                         \
    WIREPATH_PCAP(tstamp_type_name_to_val)                                                                             \
    WIREPATH_PCAP(tstamp_type_val_to_name)

struct LibPcap {
#define WIREPATH_PCAP(function) decltype(&::pcap_##function) function;
    WIREPATH_PCAP_FUNCTIONS
#undef WIREPATH_PCAP
};

// Throws Error unsupported, with the package to install.
const LibPcap& libpcap();

// libpcap's number of a link layer for a live handle, and the one that files and this project use: mostly the same.
int dlt_of_linktype(std::uint32_t linktype) noexcept;
std::uint32_t linktype_of_dlt(int dlt) noexcept;

} // namespace wirepath
