// SPDX-License-Identifier: Apache-2.0
#include "sinks/print.hpp"

#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace wirepath {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t enough = 128 << 10; // bytes of text worth a system call
constexpr std::size_t slack = 64 << 10;   // what the packet that passes the mark may add
constexpr auto longest_wait = 100ms;      // of text in the buffer, while packets come

std::string in_json(const std::string& text) {
    if (text.empty())
        return "null";
    Text result(text.size() + 2);
    result.put('"');
    for (const char c : text) {
        if (c == '"' || c == '\\')
            result.put('\\');
        if (static_cast<unsigned char>(c) < 0x20) {
            result.put("\\u");
            result.hex(static_cast<unsigned char>(c), 4);
        } else {
            result.put(c);
        }
    }
    result.put('"');
    return std::string(result.view());
}

} // namespace

PrintSink::PrintSink(const PrintOptions& options) : options_(options), decoder_(options.style), text_(enough + slack) {
    options_.line_buffered |= ::isatty(options_.fd) == 1;
    decoder_.set_names(options_.names);
}

void PrintSink::begin(const Info& info) {
    interfaces_ = info.interfaces;
    known_.clear();
    meet_interfaces(interfaces_->size());
    flushed_ = std::chrono::steady_clock::now();
}

// False: no memory.
bool PrintSink::meet_interfaces(std::size_t count) try {
    for (std::size_t i = known_.size(); i < count; ++i) {
        const Interface& interface = (*interfaces_)[i];
        known_.push_back({&interface, ",\"linktype\":" + std::to_string(interface.linktype) + ",\"interface\":" +
                                          in_json(interface.name) + ",\"interface_id\":" + std::to_string(i)});
    }
    return true;
} catch (const std::bad_alloc&) {
    return false;
}

Status PrintSink::consume(const Batch& batch, Rows rows) noexcept {
    for (std::uint32_t row = rows.begin; row < rows.end; ++row) {
        const Packet packet = batch[row];
        if (packet.interface >= known_.size() && !meet_interfaces(packet.interface + 1u))
            return fail(Error(Code::system, "printing packets", ENOMEM));
        const Known& from = known_[packet.interface];
        if (options_.format == PrintOptions::Format::json)
            put_json(packet, from);
        else
            decoder_.put(text_, packet, *from.interface);
        ++packets_;
        if (text_.size() >= enough)
            if (const Status status = flush(); status != Status::ok)
                return status;
    }
    return keep_waiting() ? Status::ok : flush();
}

bool PrintSink::keep_waiting() noexcept {
    return !options_.line_buffered && std::chrono::steady_clock::now() - flushed_ < longest_wait;
}

void PrintSink::put_json(const Packet& packet, const Known& from) noexcept {
    if ((packet.flags & flag_no_ts) != 0) {
        text_.put("{\"v\":1,\"ts\":null");
    } else {
        text_.put("{\"v\":1,\"ts\":", packet.ts < 0 ? "-" : "");
        text_.decimal(packet.ts < 0 ? 0 - static_cast<std::uint64_t>(packet.ts)
                                    : static_cast<std::uint64_t>(packet.ts));
    }
    text_.put(",\"caplen\":", packet.data.size(), ",\"origlen\":", packet.origlen, std::string_view(from.json));
    if (packet.queue != 0)
        text_.put(",\"queue\":", packet.queue);
    if ((packet.flags & (flag_inbound | flag_outbound)) != 0)
        text_.put(",\"direction\":", (packet.flags & flag_inbound) != 0 ? "\"in\"" : "\"out\"");
    if (packet.vlan_tpid != 0)
        text_.put(",\"vlan_tci\":", packet.vlan_tci, ",\"vlan_tpid\":", packet.vlan_tpid);
    if (options_.data) {
        text_.put(",\"data\":\"");
        text_.hex_bytes(reinterpret_cast<const std::uint8_t*>(packet.data.data()), packet.data.size());
        text_.put('"');
    }
    text_.put("}\n");
}

Status PrintSink::flush() noexcept {
    if (text_.out_of_memory())
        return fail(Error(Code::system, "printing packets", ENOMEM));
    std::string_view rest = text_.view();
    while (!rest.empty()) {
        const ssize_t written = ::write(options_.fd, rest.data(), rest.size());
        if (written > 0) {
            rest.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) { // someone made the terminal or pipe non-blocking
            pollfd ready{options_.fd, POLLOUT, 0};
            ::poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            const int err = errno;
            text_.clear();
            return fail(Error::from_errno("writing packets as text", err));
        }
    }
    text_.clear();
    flushed_ = std::chrono::steady_clock::now();
    return Status::ok;
}

Status PrintSink::end(const Stats&) noexcept { return flush(); }

Status PrintSink::fail(Error error) noexcept {
    fault_ = std::move(error);
    return fault_->code() == Code::no_space ? Status::no_space : Status::error;
}

} // namespace wirepath
