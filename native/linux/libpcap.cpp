// SPDX-License-Identifier: Apache-2.0
#ifdef WIREPATH_HAVE_LIBPCAP
#include "linux/libpcap.hpp"

#include <dlfcn.h>
#include <string>

#include "core/error.hpp"

namespace wirepath {
namespace {

void* open_library() {
    for (const char* name : {"libpcap.so.1", "libpcap.so.0.8"})
        if (void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL))
            return library;
    throw Error(Code::unsupported, "libpcap was not found: neither libpcap.so.1 nor libpcap.so.0.8", 0,
                "Install it: apt install libpcap0.8, dnf install libpcap");
}

void* symbol(void* library, const char* name) {
    if (void* at = ::dlsym(library, name))
        return at;
    throw Error(Code::unsupported, "this libpcap is too old: it has no " + std::string(name), 0,
                "1.9 or later is needed");
}

LibPcap load() {
    void* library = open_library();
    LibPcap table;
#define WIREPATH_PCAP(function)                                                                                        \
    table.function = reinterpret_cast<decltype(table.function)>(symbol(library, "pcap_" #function));
    WIREPATH_PCAP_FUNCTIONS
#undef WIREPATH_PCAP
    return table;
}

struct Pair {
    int dlt;
    std::uint32_t linktype;
};
constexpr Pair numbers_that_differ[] = {
    {DLT_ATM_RFC1483, 100}, {DLT_RAW, 101}, {DLT_SLIP_BSDOS, 102}, {DLT_PPP_BSDOS, 103}, {DLT_ATM_CLIP, 106}};

} // namespace

int dlt_of_linktype(std::uint32_t linktype) noexcept {
    for (const Pair& pair : numbers_that_differ)
        if (pair.linktype == linktype)
            return pair.dlt;
    return static_cast<int>(linktype);
}

std::uint32_t linktype_of_dlt(int dlt) noexcept {
    for (const Pair& pair : numbers_that_differ)
        if (pair.dlt == dlt)
            return pair.linktype;
    return static_cast<std::uint32_t>(dlt);
}

const LibPcap& libpcap() {
    static const LibPcap table = load(); // a failed load is tried again at the next call
    return table;
}

} // namespace wirepath
#endif
