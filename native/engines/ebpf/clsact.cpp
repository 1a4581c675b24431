// SPDX-License-Identifier: Apache-2.0
#include "engines/ebpf/clsact.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "core/error.hpp"
#include "linux/fd.hpp"

namespace wirepath::ebpf {
namespace {

constexpr std::uint32_t qdisc_handle = TC_H_MAKE(TC_H_CLSACT, 0);
std::uint32_t parent_of(Way way) { return TC_H_MAKE(TC_H_CLSACT, way == Way::in ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS); }
std::uint32_t info_of(std::uint32_t priority) { return TC_H_MAKE(priority << 16, htons(ETH_P_ALL)); }

// A request of the tc part of rtnetlink(7).
class Request {
  public:
    Request(std::uint16_t type, std::uint16_t flags, const tcmsg& about) {
        head().nlmsg_type = type;
        head().nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        head().nlmsg_len = NLMSG_LENGTH(sizeof about);
        std::memcpy(NLMSG_DATA(&head()), &about, sizeof about);
    }
    void add(std::uint16_t type, const void* value, std::size_t size) {
        auto* attribute = reinterpret_cast<rtattr*>(room_.data() + NLMSG_ALIGN(head().nlmsg_len));
        attribute->rta_type = type;
        attribute->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
        if (size != 0)
            std::memcpy(RTA_DATA(attribute), value, size);
        head().nlmsg_len = static_cast<std::uint32_t>(NLMSG_ALIGN(head().nlmsg_len) + RTA_ALIGN(attribute->rta_len));
    }
    void add(std::uint16_t type, std::string_view text) { add(type, std::string(text).c_str(), text.size() + 1); }
    void add(std::uint16_t type, std::uint32_t number) { add(type, &number, sizeof number); }
    template <typename F>
    void nest(std::uint16_t type, F&& inside) {
        const std::uint32_t at = NLMSG_ALIGN(head().nlmsg_len);
        add(type, nullptr, 0);
        inside();
        auto* outer = reinterpret_cast<rtattr*>(room_.data() + at);
        outer->rta_len = static_cast<unsigned short>(head().nlmsg_len - at);
    }
    const nlmsghdr& message() const { return *reinterpret_cast<const nlmsghdr*>(room_.data()); }

  private:
    nlmsghdr& head() { return *reinterpret_cast<nlmsghdr*>(room_.data()); }
    alignas(nlmsghdr) std::array<std::byte, 1024> room_{};
};

// Of the network namespace in which it was opened, wherever its owner is when he uses it.
class Socket {
  public:
    Socket() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
        if (!fd_)
            throw Error::from_errno("opening a netlink socket", errno);
    }
    using Visit = std::function<void(const nlmsghdr&)>;
    // 0 or an errno. Visits what the kernel answers beside that.
    int ask(const Request& request, const Visit& visit = {}) const noexcept {
        if (::send(fd_.get(), &request.message(), request.message().nlmsg_len, 0) < 0)
            return errno;
        std::vector<char> room(1 << 16);
        for (;;) {
            const ssize_t size = ::recv(fd_.get(), room.data(), room.size(), 0);
            if (size < 0 && errno == EINTR)
                continue;
            if (size < 0)
                return errno;
            if (const auto end = read(room.data(), static_cast<int>(size), visit))
                return *end;
        }
    }

  private:
    static std::optional<int> read(const char* from, int left, const Visit& visit) {
        for (const auto* one = reinterpret_cast<const nlmsghdr*>(from); NLMSG_OK(one, static_cast<unsigned>(left));
             one = NLMSG_NEXT(one, left)) {
            if (one->nlmsg_type == NLMSG_ERROR)
                return -static_cast<const nlmsgerr*>(NLMSG_DATA(one))->error;
            if (one->nlmsg_type == NLMSG_DONE)
                return 0;
            if (visit)
                visit(*one);
        }
        return std::nullopt;
    }
    Fd fd_;
};

tcmsg about(int ifindex, std::uint32_t parent, std::uint32_t handle = 0, std::uint32_t info = 0) {
    tcmsg message{};
    message.tcm_family = AF_UNSPEC;
    message.tcm_ifindex = ifindex;
    message.tcm_parent = parent;
    message.tcm_handle = handle;
    message.tcm_info = info;
    return message;
}

// Whether the qdisc is a new one.
bool make_qdisc(const Socket& socket, const Device& device) {
    Request request(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                    about(device.ifindex, TC_H_CLSACT, qdisc_handle));
    request.add(TCA_KIND, "clsact");
    const int failed = socket.ask(request);
    if (failed != 0 && failed != EEXIST)
        throw Error::from_errno("making the qdisc clsact on " + device.name, failed);
    return failed == 0;
}

void remove_qdisc(const Socket& socket, int ifindex) noexcept {
    Request request(RTM_DELQDISC, NLM_F_ACK, about(ifindex, TC_H_CLSACT, qdisc_handle));
    request.add(TCA_KIND, "clsact");
    socket.ask(request);
}

struct Filter {
    std::uint32_t handle = 0, info = 0; // as in tcmsg; the priority is in the upper half of info
    std::uint32_t program = 0;          // its id
    std::string name;
};

const rtattr* attribute_in(const rtattr* first, unsigned size, std::uint16_t type) {
    for (const rtattr* one = first; RTA_OK(one, size); one = RTA_NEXT(one, size))
        if ((one->rta_type & NLA_TYPE_MASK) == type)
            return one;
    return nullptr;
}

Filter filter_of(const nlmsghdr& message) {
    const auto* about = static_cast<const tcmsg*>(NLMSG_DATA(&message));
    Filter filter{about->tcm_handle, about->tcm_info, 0, {}};
    const rtattr* options = attribute_in(TCA_RTA(about), TCA_PAYLOAD(&message), TCA_OPTIONS);
    if (options == nullptr)
        return filter;
    const auto* first = static_cast<const rtattr*>(RTA_DATA(options));
    if (const rtattr* name = attribute_in(first, RTA_PAYLOAD(options), TCA_BPF_NAME)) {
        const auto* text = static_cast<const char*>(RTA_DATA(name));
        filter.name.assign(text, ::strnlen(text, RTA_PAYLOAD(name)));
    }
    if (const rtattr* id = attribute_in(first, RTA_PAYLOAD(options), TCA_BPF_ID))
        std::memcpy(&filter.program, RTA_DATA(id), sizeof filter.program);
    return filter;
}

std::vector<Filter> filters_at(const Socket& socket, int ifindex, Way way) {
    std::vector<Filter> filters;
    socket.ask(Request(RTM_GETTFILTER, NLM_F_DUMP, about(ifindex, parent_of(way))), [&](const nlmsghdr& one) {
        if (one.nlmsg_type == RTM_NEWTFILTER)
            filters.push_back(filter_of(one));
    });
    return filters;
}

void remove_filter(const Socket& socket, int ifindex, Way way, const Filter& filter) noexcept {
    Request request(RTM_DELTFILTER, NLM_F_ACK, about(ifindex, parent_of(way), filter.handle, filter.info));
    request.add(TCA_KIND, "bpf");
    socket.ask(request);
}

// Whose a filter is: the process by its number, the time that it began and its namespace, and whether the qdisc is its.
struct Owner {
    unsigned long long pid_namespace = 0, started = 0;
    int pid = 0;
    char qdisc = '-'; // '+': made by it

    std::string name() const {
        return "wirepath:" + std::to_string(pid_namespace) + ":" + std::to_string(pid) + ":" + std::to_string(started) +
               ":" + qdisc;
    }
    static std::optional<Owner> of(const std::string& name) {
        Owner owner;
        std::istringstream words(name);
        std::string ours;
        char colon = 0;
        std::getline(words, ours, ':');
        words >> owner.pid_namespace >> colon >> owner.pid >> colon >> owner.started >> colon >> owner.qdisc;
        return words && ours == "wirepath" ? std::optional(owner) : std::nullopt;
    }
};

// The 22nd field of /proc/PID/stat; the second is a name in parentheses, with whatever the program likes in it. 0:
// gone.
unsigned long long start_of(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text);
    const std::size_t end = text.rfind(')');
    if (end == std::string::npos)
        return 0;
    std::istringstream fields(text.substr(end + 1));
    for (int field = 3; field < 22; ++field)
        fields >> text;
    unsigned long long started = 0;
    fields >> started;
    return started;
}

Owner this_process() {
    struct stat namespace_file{};
    ::stat("/proc/self/ns/pid", &namespace_file);
    Owner owner;
    owner.pid_namespace = namespace_file.st_ino;
    owner.pid = ::getpid();
    owner.started = start_of(owner.pid);
    return owner;
}

// Of a process in another namespace nothing is known.
bool is_gone(const Owner& owner) {
    return owner.pid_namespace == this_process().pid_namespace && start_of(owner.pid) != owner.started;
}

void remove_empty_qdisc(const Socket& socket, int ifindex) noexcept {
    if (filters_at(socket, ifindex, Way::in).empty() && filters_at(socket, ifindex, Way::out).empty())
        remove_qdisc(socket, ifindex);
}

void remove_leftovers(const Socket& socket, int ifindex) {
    bool qdisc = false;
    for (const Way way : {Way::in, Way::out})
        for (const Filter& filter : filters_at(socket, ifindex, way)) {
            const auto owner = Owner::of(filter.name);
            if (!owner || !is_gone(*owner))
                continue;
            remove_filter(socket, ifindex, way, filter);
            qdisc |= owner->qdisc == '+';
        }
    if (qdisc)
        remove_empty_qdisc(socket, ifindex);
}

void remove_leftovers_everywhere(const Socket& socket) {
    struct if_nameindex* all = ::if_nameindex();
    for (const struct if_nameindex* one = all; one != nullptr && one->if_index != 0; ++one)
        remove_leftovers(socket, static_cast<int>(one->if_index));
    if (all != nullptr)
        ::if_freenameindex(all);
}

class ClsactFilter final : public Attachment {
  public:
    ClsactFilter(const Device& device, Way way, int program) : device_(device), way_(way), owner_(this_process()) {
        remove_leftovers_everywhere(socket_);
        owner_.qdisc = make_qdisc(socket_, device_) ? '+' : '-';
        try {
            put(program, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO);
        } catch (const Error&) {
            detach();
            throw;
        }
    }
    void replace(int program) override { put(program, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ECHO); }
    void detach() noexcept override {
        if (filter_.info != 0)
            remove_filter(socket_, device_.ifindex, way_, filter_);
        if (owner_.qdisc == '+')
            remove_empty_qdisc(socket_, device_.ifindex);
    }
    std::string place() const override { return way_ == Way::in ? "tc ingress (clsact)" : "tc egress (clsact)"; }

  private:
    // Priority 0 lets the kernel choose one that comes before those that are there.
    void put(int program, std::uint16_t flags) {
        const std::uint32_t info = filter_.info != 0 ? filter_.info : info_of(0);
        Request request(RTM_NEWTFILTER, static_cast<std::uint16_t>(NLM_F_ACK | flags),
                        about(device_.ifindex, parent_of(way_), filter_.handle, info));
        request.add(TCA_KIND, "bpf");
        request.nest(TCA_OPTIONS, [&] {
            request.add(TCA_BPF_FD, static_cast<std::uint32_t>(program));
            request.add(TCA_BPF_NAME, owner_.name());
            request.add(TCA_BPF_FLAGS, std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT});
        });
        const int failed = socket_.ask(request, [this](const nlmsghdr& echo) {
            if (echo.nlmsg_type == RTM_NEWTFILTER)
                filter_ = filter_of(echo);
        });
        if (failed != 0)
            throw Error::from_errno("attaching a program to " + place() + " of " + device_.name, failed);
    }

    Device device_;
    Way way_;
    Socket socket_;
    Owner owner_;
    Filter filter_;
};

} // namespace

std::vector<std::uint32_t> programs_at_clsact(const Device& device, Way way) {
    std::vector<std::uint32_t> programs;
    for (const Filter& filter : filters_at(Socket(), device.ifindex, way))
        if (filter.program != 0)
            programs.push_back(filter.program);
    return programs;
}

std::unique_ptr<Attachment> attach_to_clsact(const Device& device, Way way, int program) {
    return std::make_unique<ClsactFilter>(device, way, program);
}

} // namespace wirepath::ebpf
