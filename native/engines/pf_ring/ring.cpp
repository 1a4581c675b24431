// SPDX-License-Identifier: Apache-2.0
#include "engines/pf_ring/ring.hpp"

#include <cerrno>
#include <sys/socket.h>

#include "core/error.hpp"
#include "linux/fd.hpp"
#include "linux/hw_timestamps.hpp"

namespace wirepath::pf_ring {
namespace {

Error cannot_open(const Library& library, const Module& module, const Target& target, const std::string& device,
                  int err) {
    const std::string doing = "opening " + device + " with PF_RING";
    if (err == EPERM || err == EACCES)
        return Error::from_errno(
            doing, err, "This needs CAP_NET_RAW: run with sudo, or setpriv --ambient-caps +net_raw,+net_admin");
    if (err == EAFNOSUPPORT || err == ESOCKTNOSUPPORT)
        return Error(Code::unsupported, doing, err, "The kernel module pf_ring is not loaded: modprobe pf_ring");
    if (!target.zero_copy)
        return Error::from_errno(
            doing, err, "The module knows the interfaces in /proc/net/pf_ring/dev; its reason may be in dmesg");
    const std::string missing = missing_for_zero_copy(library, module, target.interface);
    return Error(Code::unsupported, doing, err,
                 missing.empty() ? "Its driver may be in use by another program" : "Missing: " + missing);
}

} // namespace

// The library sets the NIC's own timestamps to what its flags say, which is off, whoever else uses them (ptp4l does).
Ring::Ring(const Library& library, const Module& module, const Target& target, const std::string& device,
           std::uint32_t snaplen, std::uint32_t flags)
    : library_(library), device_(device) {
    const Fd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const KeptHardwareTimestamps kept(control.get(), target.interface);
    errno = 0;
    handle_ = library_.open(device.c_str(), snaplen, flags);
    if (handle_ == nullptr)
        throw cannot_open(library, module, target, device, errno);
    const std::uint16_t header = library_.get_slot_header_len(handle_);
    if (!target.zero_copy && header != sizeof(Header)) {
        close();
        throw Error(Code::unsupported,
                    "PF_RING's slots of " + device + " have a header of " + std::to_string(header) + " bytes", 0,
                    "Only one of 48 bytes is known here (PF_RING 8)");
    }
    char name[] = "wirepath";
    library_.set_application_name(handle_, name);
}

void Ring::enable() {
    errno = 0;
    if (library_.enable_ring(handle_) != 0)
        throw Error::from_errno("enabling the ring of " + device_, errno);
}

void Ring::close() noexcept {
    if (handle_ != nullptr && !in_child())
        library_.close(handle_);
    handle_ = nullptr;
}

} // namespace wirepath::pf_ring
