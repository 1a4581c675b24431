// SPDX-License-Identifier: Apache-2.0
#include "linux/netdev_family.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <span>
#include <string_view>
#include <sys/socket.h>

#include "linux/fd.hpp"
#include "linux/uapi_newer.hpp"

namespace wirepath {
namespace {

using Answer = std::array<std::byte, 8192>;
using Bytes = std::span<const std::byte>;

struct Request {
    nlmsghdr head{};
    genlmsghdr command{};
    nlattr attribute{};
    std::array<std::byte, 16> value{};
};

Request request_for(std::uint16_t family, std::uint8_t command, std::uint16_t attribute, const void* value,
                    std::size_t size) {
    Request request;
    request.attribute.nla_type = attribute;
    request.attribute.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + size);
    std::memcpy(request.value.data(), value, size);
    request.command.cmd = command;
    request.command.version = 1;
    request.head.nlmsg_type = family;
    request.head.nlmsg_flags = NLM_F_REQUEST;
    request.head.nlmsg_len =
        static_cast<std::uint32_t>(NLMSG_ALIGN(sizeof(nlmsghdr) + sizeof(genlmsghdr) + sizeof(nlattr) + size));
    return request;
}

// The attributes of the answer; none if it is a refusal.
Bytes ask(int socket, const Request& request, Answer& room) {
    if (::send(socket, &request, request.head.nlmsg_len, 0) < 0)
        return {};
    const ssize_t size = ::recv(socket, room.data(), room.size(), 0);
    nlmsghdr head{};
    constexpr std::size_t before = sizeof head + sizeof(genlmsghdr);
    if (size < static_cast<ssize_t>(before))
        return {};
    std::memcpy(&head, room.data(), sizeof head);
    if (head.nlmsg_type != request.head.nlmsg_type || head.nlmsg_len > static_cast<std::size_t>(size))
        return {};
    return Bytes(room).first(head.nlmsg_len).subspan(before);
}

template <typename Number>
std::optional<Number> number_in(Bytes attributes, std::uint16_t type) {
    nlattr one{};
    while (attributes.size() >= sizeof one) {
        std::memcpy(&one, attributes.data(), sizeof one);
        const std::size_t step = NLA_ALIGN(one.nla_len);
        if (one.nla_len < sizeof one || one.nla_len > attributes.size())
            break;
        Number number{};
        if ((one.nla_type & NLA_TYPE_MASK) == type && one.nla_len >= sizeof one + sizeof number) {
            std::memcpy(&number, attributes.data() + sizeof one, sizeof number);
            return number;
        }
        attributes = attributes.subspan(std::min(step, attributes.size()));
    }
    return std::nullopt;
}

} // namespace

std::optional<std::uint64_t> xdp_rx_metadata(int ifindex) noexcept {
    const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
    if (!socket)
        return std::nullopt;
    static constexpr std::string_view name("netdev", sizeof "netdev");
    Answer answer;
    const auto family = number_in<std::uint16_t>(
        ask(socket.get(),
            request_for(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, name.data(), name.size()), answer),
        CTRL_ATTR_FAMILY_ID);
    if (!family)
        return std::nullopt;
    const auto index = static_cast<std::uint32_t>(ifindex);
    return number_in<std::uint64_t>(
        ask(socket.get(),
            request_for(*family, uapi::netdev_cmd_dev_get, uapi::netdev_a_dev_ifindex, &index, sizeof index), answer),
        uapi::netdev_a_dev_xdp_rx_metadata_features);
}

} // namespace wirepath
