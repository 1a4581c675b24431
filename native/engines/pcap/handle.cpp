// SPDX-License-Identifier: Apache-2.0
#include "engines/pcap/handle.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

#include "core/error.hpp"
#include "linux/memory.hpp"

namespace wirepath::pcap {
namespace {

std::string devices_there_are() {
    pcap_if_t* all = nullptr;
    char message[PCAP_ERRBUF_SIZE];
    std::string names;
    if (libpcap().findalldevs(&all, message) != 0)
        return message;
    for (const pcap_if_t* one = all; one != nullptr; one = one->next)
        names += (names.empty() ? "" : ", ") + std::string(one->name);
    libpcap().freealldevs(all);
    return names;
}

Error activation_error(pcap_t* handle, int result, const std::string& device) {
    const std::string detail = libpcap().geterr(handle);
    const std::string doing =
        "capturing on " + device + ": " + libpcap().statustostr(result) + (detail.empty() ? "" : " (" + detail + ")");
    switch (result) {
    case PCAP_ERROR_NO_SUCH_DEVICE:
        return Error(Code::not_found, "there is no device '" + device + "'", 0, "Devices here: " + devices_there_are());
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
        return Error(Code::permission, doing, 0,
                     "This needs CAP_NET_RAW: run with sudo, or setpriv --ambient-caps +net_raw,+net_admin");
    case PCAP_ERROR_IFACE_NOT_UP:
        return Error(Code::gone, "capturing on " + device, ENETDOWN,
                     "It is down. Bring it up with: ip link set " + device + " up");
    case PCAP_ERROR_RFMON_NOTSUP:
        return Error(Code::unsupported, device + " has no monitor mode", 0, "Use rfmon=off");
    default:
        return Error(Code::system, doing);
    }
}

// Its own list of numbers or names, as "EN10MB (1), DOCSIS (143)".
std::string linktypes_of(pcap_t* handle) {
    int* list = nullptr;
    const int count = libpcap().list_datalinks(handle, &list);
    std::string names;
    for (int i = 0; i < count; ++i) {
        const char* name = libpcap().datalink_val_to_name(list[i]);
        names += (i == 0 ? "" : ", ") + std::string(name != nullptr ? name : "DLT") + " (" +
                 std::to_string(linktype_of_dlt(list[i])) + ")";
    }
    if (count >= 0)
        libpcap().free_datalinks(list);
    return names;
}

std::string timestamp_types_of(pcap_t* handle) {
    int* list = nullptr;
    const int count = libpcap().list_tstamp_types(handle, &list);
    std::string names = count <= 0 ? "host" : "";
    for (int i = 0; i < count; ++i)
        names += (i == 0 ? "" : ", ") + std::string(libpcap().tstamp_type_val_to_name(list[i]));
    if (count > 0)
        libpcap().free_tstamp_types(list);
    return names;
}

void set_timestamp_type(pcap_t* handle, const std::string& device, const std::string& name) {
    if (name.empty())
        return;
    const int type = libpcap().tstamp_type_name_to_val(name.c_str());
    if (type < 0 || libpcap().set_tstamp_type(handle, type) != 0)
        throw Error(Code::bad_option, device + " cannot take timestamps of the type '" + name + "'", 0,
                    "It offers: " + timestamp_types_of(handle));
}

void set_linktype(pcap_t* handle, const std::string& device, const std::string& given) {
    if (given.empty())
        return;
    const bool number = given.find_first_not_of("0123456789") == std::string::npos && given.size() < 6;
    const int dlt = number ? dlt_of_linktype(static_cast<std::uint32_t>(std::stoul(given)))
                           : libpcap().datalink_name_to_val(given.c_str());
    if (dlt < 0 || libpcap().set_datalink(handle, dlt) != 0)
        throw Error(Code::bad_option, device + " has no linktype " + given, 0, "It offers: " + linktypes_of(handle));
}

void set_direction(pcap_t* handle, const std::string& device, const std::string& direction) {
    const pcap_direction_t wanted = direction == "in" ? PCAP_D_IN : direction == "out" ? PCAP_D_OUT : PCAP_D_INOUT;
    if (wanted != PCAP_D_INOUT && libpcap().setdirection(handle, wanted) != 0)
        throw Error(Code::unsupported, "choosing a direction on " + device + ": " + libpcap().geterr(handle));
}

} // namespace

int timeout_of(const Options& given) {
    return static_cast<int>(std::clamp<std::int64_t>(given.integer("timeout_ms"), 1, 60'000));
}

int buffer_size_of(const Options& given) {
    const std::int64_t size = given.integer("buffer_size");
    if (size < 1 || size > INT32_MAX)
        throw Error(Code::bad_option, "buffer_size cannot be " + std::to_string(size), 0, "libpcap's is under 2 GiB");
    check_ring_memory(static_cast<std::uint64_t>(size), "buffer_size");
    return static_cast<int>(size);
}

Handle activate(const OpenRequest& request, const Options& given, std::uint32_t snaplen) {
    char message[PCAP_ERRBUF_SIZE];
    Handle handle(libpcap().create(request.target.c_str(), message));
    if (!handle)
        throw Error(Code::system, "opening " + request.target + ": " + message);
    libpcap().set_snaplen(handle.get(), static_cast<int>(snaplen));
    libpcap().set_promisc(handle.get(), request.promisc && request.target != "any");
    libpcap().set_timeout(handle.get(), timeout_of(given));
    libpcap().set_buffer_size(handle.get(), buffer_size_of(given));
    libpcap().set_immediate_mode(handle.get(), given.flag("immediate"));
    libpcap().set_rfmon(handle.get(), given.flag("rfmon"));
    libpcap().set_tstamp_precision(handle.get(), PCAP_TSTAMP_PRECISION_NANO);
    set_timestamp_type(handle.get(), request.target, given.text("timestamp_type"));
    if (const int result = libpcap().activate(handle.get()); result < 0)
        throw activation_error(handle.get(), result, request.target);
    set_linktype(handle.get(), request.target, given.text("linktype"));
    set_direction(handle.get(), request.target, given.text("direction"));
    if (libpcap().setnonblock(handle.get(), 1, message) != 0)
        throw Error(Code::system, "opening " + request.target + ": " + message);
    return handle;
}

} // namespace wirepath::pcap
