// SPDX-License-Identifier: Apache-2.0
#include "linux/netdev_family.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <span>
#include <string_view>
#include <sys/socket.h>

#include "linux/uapi_newer.hpp"

namespace wirepath {
namespace {

using Answer = std::array<std::byte, 32768>; // a dump's messages are not longer
using Bytes = std::span<const std::byte>;

class Request {
  public:
    Request(std::uint16_t family, std::uint8_t command, std::uint16_t flags) {
        head().nlmsg_type = family;
        head().nlmsg_flags = NLM_F_REQUEST | flags;
        head().nlmsg_len = NLMSG_LENGTH(sizeof(genlmsghdr));
        auto& generic = *static_cast<genlmsghdr*>(NLMSG_DATA(&head()));
        generic.cmd = command;
        generic.version = 1;
    }

    void add(std::uint16_t type, const void* value, std::size_t size) {
        auto& attribute = *reinterpret_cast<nlattr*>(room_.data() + NLMSG_ALIGN(head().nlmsg_len));
        attribute.nla_type = type;
        attribute.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + size);
        std::memcpy(reinterpret_cast<std::byte*>(&attribute) + NLA_HDRLEN, value, size);
        head().nlmsg_len = static_cast<std::uint32_t>(NLMSG_ALIGN(head().nlmsg_len) + NLA_ALIGN(attribute.nla_len));
    }
    void add(std::uint16_t type, std::uint32_t value) { add(type, &value, sizeof value); }

    bool send(int socket) const { return ::send(socket, room_.data(), head().nlmsg_len, 0) >= 0; }

  private:
    nlmsghdr& head() { return *reinterpret_cast<nlmsghdr*>(room_.data()); }
    const nlmsghdr& head() const { return *reinterpret_cast<const nlmsghdr*>(room_.data()); }
    alignas(nlmsghdr) std::array<std::byte, 256> room_{};
};

// Calls each(attributes) for every message of the answer, until its end. 0 or the errno.
template <typename F>
int answers(int socket, bool many, F&& each) {
    alignas(nlmsghdr) Answer room;
    for (;;) {
        const ssize_t size = ::recv(socket, room.data(), room.size(), 0);
        if (size < 0)
            return errno;
        auto left = static_cast<std::uint32_t>(size);
        for (auto* head = reinterpret_cast<const nlmsghdr*>(room.data()); NLMSG_OK(head, left);
             head = NLMSG_NEXT(head, left)) {
            if (head->nlmsg_type == NLMSG_DONE)
                return 0;
            const auto* data = static_cast<const std::byte*>(NLMSG_DATA(head));
            if (head->nlmsg_type == NLMSG_ERROR) {
                int error = 0;
                std::memcpy(&error, data, sizeof error);
                return -error;
            }
            if (head->nlmsg_len > NLMSG_LENGTH(sizeof(genlmsghdr)))
                each(Bytes(data, head->nlmsg_len - NLMSG_HDRLEN).subspan(sizeof(genlmsghdr)));
            if (!many)
                return 0;
        }
    }
}

// Of 16, 32 or 64 bits.
std::optional<std::uint64_t> number_in(Bytes attributes, std::uint16_t type) {
    static_assert(std::endian::native == std::endian::little);
    nlattr one{};
    while (attributes.size() >= sizeof one) {
        std::memcpy(&one, attributes.data(), sizeof one);
        const std::size_t step = NLA_ALIGN(one.nla_len);
        if (one.nla_len < sizeof one || one.nla_len > attributes.size())
            break;
        if (std::uint64_t number = 0; (one.nla_type & NLA_TYPE_MASK) == type) {
            std::memcpy(&number, attributes.data() + sizeof one, std::min(sizeof number, one.nla_len - sizeof one));
            return number;
        }
        attributes = attributes.subspan(std::min(step, attributes.size()));
    }
    return std::nullopt;
}

std::uint16_t family_named(std::string_view name, int socket) {
    Request request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
    request.add(CTRL_ATTR_FAMILY_NAME, name.data(), name.size());
    std::optional<std::uint64_t> id;
    if (!request.send(socket) ||
        answers(socket, false, [&](Bytes said) { id = number_in(said, CTRL_ATTR_FAMILY_ID); }) != 0)
        return 0;
    return static_cast<std::uint16_t>(id.value_or(0));
}

NapiInstance napi_in(Bytes said) {
    NapiInstance napi;
    napi.id = static_cast<std::uint32_t>(number_in(said, uapi::netdev_a_napi_id).value_or(0));
    napi.irq = number_in(said, uapi::netdev_a_napi_irq);
    napi.defer_hard_irqs = number_in(said, uapi::netdev_a_napi_defer_hard_irqs);
    napi.gro_flush_timeout_ns = number_in(said, uapi::netdev_a_napi_gro_flush_timeout);
    napi.threaded = number_in(said, uapi::netdev_a_napi_threaded);
    return napi;
}

} // namespace

NetdevFamily::NetdevFamily() noexcept : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC)) {
    static constexpr std::string_view name("netdev", sizeof "netdev");
    if (socket_)
        family_ = family_named(name, socket_.get());
}

std::optional<std::uint64_t> NetdevFamily::of_device(int ifindex, std::uint16_t attribute) const noexcept {
    std::optional<std::uint64_t> value;
    Request request(family_, uapi::netdev_cmd_dev_get, 0);
    request.add(uapi::netdev_a_dev_ifindex, static_cast<std::uint32_t>(ifindex));
    if (family_ != 0 && request.send(socket_.get()))
        answers(socket_.get(), false, [&](Bytes said) { value = number_in(said, attribute); });
    return value;
}

std::optional<std::uint64_t> NetdevFamily::xdp_features(int ifindex) const noexcept {
    return of_device(ifindex, uapi::netdev_a_dev_xdp_features);
}

std::optional<std::uint64_t> NetdevFamily::xdp_rx_metadata(int ifindex) const noexcept {
    return of_device(ifindex, uapi::netdev_a_dev_xdp_rx_metadata_features);
}

std::vector<NapiInstance> NetdevFamily::napis(int ifindex) const {
    std::vector<NapiInstance> found;
    Request request(family_, uapi::netdev_cmd_napi_get, NLM_F_DUMP);
    request.add(uapi::netdev_a_napi_ifindex, static_cast<std::uint32_t>(ifindex));
    if (family_ != 0 && request.send(socket_.get()))
        answers(socket_.get(), true, [&](Bytes said) { found.push_back(napi_in(said)); });
    return found;
}

int NetdevFamily::set_napi(std::uint32_t id, std::uint16_t attribute, std::uint64_t value) const noexcept {
    if (family_ == 0)
        return EOPNOTSUPP;
    Request request(family_, uapi::netdev_cmd_napi_set, NLM_F_ACK);
    request.add(uapi::netdev_a_napi_id, id);
    if (attribute == uapi::netdev_a_napi_gro_flush_timeout)
        request.add(attribute, &value, sizeof value); // a "uint", of 32 or 64 bits
    else
        request.add(attribute, static_cast<std::uint32_t>(value));
    return request.send(socket_.get()) ? answers(socket_.get(), false, [](Bytes) {}) : errno;
}

std::optional<std::uint64_t> xdp_rx_metadata(int ifindex) noexcept { return NetdevFamily().xdp_rx_metadata(ifindex); }

} // namespace wirepath
