// SPDX-License-Identifier: Apache-2.0
#include "traffic/flow.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

namespace wirepath {
namespace {

constexpr std::uint32_t ethernet = 14, ipv4 = 20, ipv6 = 40, udp = 8, tcp = 20; // bytes of headers
constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;
constexpr char mark[8] = {'w', 'i', 'r', 'e', 'p', 'a', 't', 'h'}; // before the number of a frame that has room for it
constexpr std::uint32_t mark_and_number = 16;
constexpr std::size_t buffer_bytes = std::size_t{256} << 10; // of a batch, roughly
constexpr std::uint32_t buffers = 64;                        // that a sender may hold

void put16(std::uint8_t* at, std::uint32_t value) noexcept {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}
void put32(std::uint8_t* at, std::uint32_t value) noexcept {
    put16(at, value >> 16);
    put16(at + 2, value & 0xFFFF);
}
void put64(std::uint8_t* at, std::uint64_t value) noexcept {
    put32(at, static_cast<std::uint32_t>(value >> 32));
    put32(at + 4, static_cast<std::uint32_t>(value));
}

// Of the Internet checksum (RFC 1071), not folded. `at` is at an even place of what is summed.
std::uint32_t sum_of(const std::uint8_t* at, std::uint32_t bytes) noexcept {
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i + 1 < bytes; i += 2)
        sum += static_cast<std::uint32_t>(at[i]) << 8 | at[i + 1];
    return bytes % 2 != 0 ? sum + (static_cast<std::uint32_t>(at[bytes - 1]) << 8) : sum;
}

std::uint16_t checksum_of(std::uint32_t sum) noexcept {
    while (sum >> 16 != 0)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

std::uint8_t pattern(std::uint32_t index) noexcept { return static_cast<std::uint8_t>(index * 7 + (index >> 8)); }

// The address so many places further, its last bytes counted on.
void put_address(std::uint8_t* at, const FlowSpec::Address& first, std::size_t bytes, std::uint64_t further) noexcept {
    std::memcpy(at, first.bytes.data(), bytes);
    for (std::size_t i = bytes; i-- > 0 && further != 0; further >>= 8) {
        further += at[i];
        at[i] = static_cast<std::uint8_t>(further);
    }
}

std::uint32_t header_bytes(const FlowSpec& spec) noexcept {
    return ethernet + (spec.ipv6 ? ipv6 : ipv4) + (spec.tcp ? tcp : udp);
}

// Throws Error.
std::uint32_t largest(const FlowSpec& spec) {
    if (spec.sizes.empty())
        throw Error(Code::bad_option, "making frames of no size");
    for (const std::uint32_t size : spec.sizes)
        if (size < header_bytes(spec) || size > ethernet + 65535)
            throw Error(Code::bad_option, "a frame of this flow cannot have " + std::to_string(size) + " bytes", 0,
                        "It has " + std::to_string(header_bytes(spec)) + " to 65549, its headers counted and no FCS");
    return *std::max_element(spec.sizes.begin(), spec.sizes.end());
}

} // namespace

std::uint32_t Flow::headers() const noexcept { return header_bytes(spec_); }

Flow::Flow(FlowSpec spec)
    : spec_(std::move(spec)),
      rows_(static_cast<std::uint32_t>(std::clamp<std::size_t>(buffer_bytes / largest(spec_), 4, 256))),
      stride_((largest(spec_) + 63) / 64 * 64), memory_(buffers, std::size_t{rows_} * stride_), batch_(rows_) {
    Interface made;
    made.name = "flow";
    interfaces_.add(made);
    for (const std::uint32_t bytes : spec_.sizes) {
        Size size{bytes, 0};
        const std::uint32_t payload = bytes - headers();
        std::vector<std::uint8_t> content(payload);
        for (std::uint32_t i = 0; i < payload; ++i)
            content[i] = pattern(i);
        if (payload >= mark_and_number) {
            std::memcpy(content.data(), mark, sizeof mark);
            std::memset(content.data() + sizeof mark, 0, 8);
        }
        size.payload_sum = sum_of(content.data(), payload);
        sizes_.push_back(size);
    }
    const std::uint64_t parts[] = {spec_.source_port.count, spec_.target_port.count, spec_.source.count,
                                   spec_.target.count, sizes_.size()};
    for (const std::uint64_t part : parts) {
        if (part == 0 || __builtin_mul_overflow(pass_, part, &pass_))
            throw Error(Code::bad_option, "making frames: there are too many combinations of addresses and ports");
        flows_ = &part == &parts[4] ? flows_ : pass_;
    }
}

Status Flow::next(const Batch*& batch) noexcept {
    if (made_ == pass_)
        return Status::end_of_file;
    BufferPool::Buffer buffer;
    batch_.release();
    if (!memory_.take(buffer))
        return Status::no_buffer;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    batch_.begin(buffer.data, buffer.size, std::move(buffer.lease));
    for (; batch_.size() < rows_ && made_ < pass_; ++made_, ++number_) {
        const std::uint64_t flow = made_ % flows_;
        const Size& size = sizes_[(made_ / flows_ + flow) % sizes_.size()];
        std::byte* to = buffer.data + std::size_t{batch_.size()} * stride_;
        write(to, size, flow);
        Packet packet;
        packet.data = {to, size.bytes};
        packet.origlen = size.bytes;
        packet.ts = now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
        batch_.push(packet);
    }
    batch = &batch_;
    return Status::ok;
}

void Flow::write(std::byte* to, const Size& size, std::uint64_t flow) noexcept {
    auto* at = reinterpret_cast<std::uint8_t*>(to);
    std::memcpy(at, spec_.target_mac.data(), 6);
    std::memcpy(at + 6, spec_.source_mac.data(), 6);
    put16(at + 12, spec_.ipv6 ? 0x86DD : 0x0800);
    const std::uint64_t source = flow % spec_.source_port.count;
    flow /= spec_.source_port.count;
    const std::uint64_t target = flow % spec_.target_port.count;
    flow /= spec_.target_port.count;
    const std::uint32_t pseudo_header = write_ip(at + ethernet, size, flow);
    write_transport(at + ethernet + (spec_.ipv6 ? ipv6 : ipv4), size, pseudo_header,
                    static_cast<std::uint16_t>(spec_.source_port.first + source),
                    static_cast<std::uint16_t>(spec_.target_port.first + target));
}

// The sum of the pseudo header.
std::uint32_t Flow::write_ip(std::uint8_t* ip, const Size& size, std::uint64_t flow) noexcept {
    const std::uint64_t source = flow % spec_.source.count, target = flow / spec_.source.count;
    const std::uint32_t bytes = size.bytes - ethernet;
    const std::uint8_t protocol = spec_.tcp ? protocol_tcp : protocol_udp;
    if (spec_.ipv6) {
        put32(ip, 0x6000'0000);
        put16(ip + 4, bytes - ipv6);
        ip[6] = protocol;
        ip[7] = 64;
        put_address(ip + 8, spec_.source, 16, source);
        put_address(ip + 24, spec_.target, 16, target);
        return sum_of(ip + 8, 32) + bytes - ipv6 + protocol;
    }
    put16(ip, 0x4500);
    put16(ip + 2, bytes);
    put16(ip + 4, static_cast<std::uint32_t>(number_) & 0xFFFF);
    put16(ip + 6, 0x4000); // not to be fragmented
    ip[8] = 64;
    ip[9] = protocol;
    put16(ip + 10, 0);
    put_address(ip + 12, spec_.source, 4, source);
    put_address(ip + 16, spec_.target, 4, target);
    put16(ip + 10, checksum_of(sum_of(ip, ipv4)));
    return sum_of(ip + 12, 8) + bytes - ipv4 + protocol;
}

void Flow::write_transport(std::uint8_t* at, const Size& size, std::uint32_t sum, std::uint16_t source,
                           std::uint16_t target) noexcept {
    const std::uint32_t header = spec_.tcp ? tcp : udp;
    const std::uint32_t payload = size.bytes - headers();
    const std::uint32_t checksum_at = spec_.tcp ? 16 : 6;
    std::memset(at, 0, header);
    put16(at, source);
    put16(at + 2, target);
    if (spec_.tcp) {
        put32(at + 4, static_cast<std::uint32_t>(number_ * std::max(payload, 1u)));
        at[12] = 5 << 4; // header words
        at[13] = spec_.tcp_flags;
        put16(at + 14, 0xFFFF); // window
    } else {
        put16(at + 4, header + payload);
    }
    std::uint8_t* content = at + header;
    std::uint32_t from = 0;
    sum += size.payload_sum;
    if (payload >= mark_and_number) {
        std::memcpy(content, mark, sizeof mark);
        put64(content + sizeof mark, number_);
        sum += sum_of(content + sizeof mark, 8);
        from = mark_and_number;
    }
    for (std::uint32_t i = from; i < payload; ++i)
        content[i] = pattern(i);
    const std::uint16_t checksum = checksum_of(sum + sum_of(at, header));
    put16(at + checksum_at, checksum == 0 && !spec_.tcp ? 0xFFFF : checksum); // RFC 768: 0 means none
}

} // namespace wirepath
