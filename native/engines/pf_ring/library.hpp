// SPDX-License-Identifier: Apache-2.0
// libpfring, loaded when it is first needed: it is not free to be shipped, and its absence breaks nothing but this
// engine. What is used of its interface is declared here, by hand, from its behaviour (docs/pf_ring.md); none of ntop's
// headers is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>

namespace wirepath::pf_ring {

struct Handle; // a ring, open

// In front of each packet, as the library writes it without long_header: 48 bytes. What follows them in a long one is
// not used.
struct [[gnu::packed]] Header {
    std::int64_t ts_s, ts_us;
    std::uint32_t caplen, origlen;
    std::uint64_t ts_ns; // the NIC's own time where it gives one, else the kernel's
    std::uint32_t flags;
    std::uint8_t inbound;
    std::uint8_t port;
    std::uint16_t device;
    std::int32_t ifindex;
    std::uint32_t hash;
};
static_assert(sizeof(Header) == 48);
constexpr std::size_t longest_header = 512; // room for what a device's own module may write behind it

enum HeaderFlag : std::uint32_t {
    header_checksum_ok = 1 << 1,
    header_vlan_taken_off = 1 << 4, // the tag is neither in the bytes nor in the short header
};

struct Counts {
    std::uint64_t received, dropped, shunted; // `received`: taken out of the ring
};

enum OpenFlag : std::uint32_t {
    open_promisc = 1 << 3,
    open_timestamp = 1 << 4,    // also where the device's own module would save the time
    open_hw_timestamp = 1 << 5, // switches the NIC's on, and for good: not used
};

enum class SocketMode : int { both, send_only, receive_only };

// A device as pfring_findalldevs lists it.
struct ListedDevice {
    char *name, *system_name, *module, *module_version, *serial;
    char mac[6];
    int bus[4];
    int status;
    int licence; // 1: valid
    std::time_t licence_expires;
    ListedDevice* next;
};

// WIREPATH_PFRING(name, result, arguments): everything of libpfring that is used.
#define WIREPATH_PFRING_FUNCTIONS                                                                                      \
    WIREPATH_PFRING(open, Handle*, const char*, std::uint32_t caplen, std::uint32_t flags)                             \
    WIREPATH_PFRING(close, void, Handle*)                                                                              \
    WIREPATH_PFRING(enable_ring, int, Handle*)                                                                         \
    WIREPATH_PFRING(recv, int, Handle*, unsigned char** data, unsigned room, void* header, std::uint8_t wait)          \
    WIREPATH_PFRING(send, int, Handle*, char* data, unsigned length, std::uint8_t flush)                               \
    WIREPATH_PFRING(stats, int, Handle*, Counts*)                                                                      \
    WIREPATH_PFRING(set_direction, int, Handle*, int)                                                                  \
    WIREPATH_PFRING(set_socket_mode, int, Handle*, SocketMode)                                                         \
    WIREPATH_PFRING(set_bpf_filter, int, Handle*, const char*)                                                         \
    WIREPATH_PFRING(remove_bpf_filter, int, Handle*)                                                                   \
    WIREPATH_PFRING(set_poll_watermark, int, Handle*, std::uint16_t packets)                                           \
    WIREPATH_PFRING(set_application_name, int, Handle*, char*)                                                         \
    WIREPATH_PFRING(get_selectable_fd, int, Handle*)                                                                   \
    WIREPATH_PFRING(get_ring_id, std::uint32_t, Handle*)                                                               \
    WIREPATH_PFRING(get_slot_header_len, std::uint16_t, Handle*)                                                       \
    WIREPATH_PFRING(get_num_rx_channels, std::uint8_t, Handle*)                                                        \
    WIREPATH_PFRING(version_noring, void, std::uint32_t*)                                                              \
    WIREPATH_PFRING(findalldevs, ListedDevice*, )                                                                      \
    WIREPATH_PFRING(freealldevs, void, ListedDevice*)

struct Library {
#define WIREPATH_PFRING(name, result, ...) result (*name)(__VA_ARGS__) = nullptr;
    WIREPATH_PFRING_FUNCTIONS
#undef WIREPATH_PFRING

    std::string version() const; // "8.9.0"
    // Empty: the real one. Else where a double for tests keeps what the kernel's module would show in
    // /proc/net/pf_ring (its subdirectory proc) and /sys/module/pf_ring (parameters).
    std::string double_root;
    bool is_double() const noexcept { return !double_root.empty(); }
};

// WIREPATH_LIBPFRING names the file; else it is looked for as libpfring.so.8 and libpfring.so. Throws Error
// unsupported.
const Library& library();

} // namespace wirepath::pf_ring
