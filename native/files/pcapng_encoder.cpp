// SPDX-License-Identifier: Apache-2.0
#include "files/pcapng_encoder.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sys/utsname.h>

#include "core/version.hpp"
#include "files/pcapng_format.hpp"

namespace wirepath::files {

using namespace pcapng;

namespace {

constexpr std::uint8_t nanoseconds = 9;
constexpr std::uint32_t number_option_bytes = 8; // of one that holds 32 bits
constexpr std::uint32_t end_option_bytes = 4;

std::string cpu_model() {
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line);)
        if (const std::size_t colon = line.find(": "); line.starts_with("model name") && colon != std::string::npos)
            return line.substr(colon + 2);
    return {};
}

std::string running_os() {
    utsname name = {};
    return ::uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : std::string();
}

void append_text(std::string& options, std::uint16_t code, const std::string& text) {
    if (!text.empty())
        append_option(options, code, text);
}

void append_end(std::string& options) { append_option(options, opt_end, std::string()); }

// What a file had said of an interface, but for its times, which are written as ns.
std::string kept_options(const std::string& options) {
    std::string kept;
    for (OptionReader option(bytes_of(options), false); option.next();)
        if (option.code() != if_tsresol && option.code() != if_tsoffset)
            append_option(kept, option.code(), option.value());
    return kept;
}

std::string options_of(const Interface& interface, bool of_this_host) {
    std::string options = kept_options(interface.options);
    if (options.empty()) {
        append_text(options, if_name, interface.name);
        append_text(options, if_description, interface.description);
        append_text(options, if_mac, interface.mac);
        if (interface.speed_bps != 0)
            append_number(options, if_speed, interface.speed_bps);
        if (!interface.filter.empty())
            append_option(options, if_filter, std::string(1, '\0') + interface.filter); // 0: an expression's text
        append_text(options, if_os, interface.os.empty() && of_this_host ? running_os() : interface.os);
        append_text(options, if_hardware, interface.hardware);
    }
    append_number(options, if_tsresol, nanoseconds);
    append_end(options);
    return options;
}

// Name resolution and decryption secrets have numbers whose place is known.
std::string reordered_block(std::uint32_t type, std::span<const std::byte> body, bool from_swapped) {
    std::string result(reinterpret_cast<const char*>(body.data()), body.size());
    const auto bytes = std::as_writable_bytes(std::span(result));
    const auto reorder = [bytes](std::size_t at, auto number) {
        if (at + sizeof number <= bytes.size())
            store(bytes.data() + at, load<decltype(number), true>(bytes.data() + at));
    };
    if (type == decryption_secrets) {
        reorder(0, std::uint32_t{});
        reorder(4, std::uint32_t{});
    } else if (type == custom) {
        reorder(0, std::uint32_t{});
    } else if (type == name_resolution) { // records, then options: each a code, a length and so many bytes
        for (std::size_t at = 0; at + 4 <= body.size();) {
            const auto length = load<std::uint16_t>(body.data() + at + 2, from_swapped);
            reorder(at, std::uint16_t{});
            reorder(at + 2, std::uint16_t{});
            at += 4 + padded(length);
        }
    }
    return result;
}

std::optional<std::uint64_t> sum(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b) {
    return a && b ? std::optional(*a + *b) : a ? a : b;
}

} // namespace

SectionTexts section_texts_of_host() { return {cpu_model(), running_os(), "wirepath " + std::string(version), {}}; }

PcapngEncoder::PcapngEncoder(std::shared_ptr<InterfaceTable> interfaces, const SectionTexts& texts, bool live)
    : Encoder(std::move(interfaces)), live_(live) {
    for (const std::string& comment : texts.comments)
        append_option(section_options_, opt_comment, comment);
    append_text(section_options_, shb_hardware, texts.hardware);
    append_text(section_options_, shb_os, texts.os);
    append_text(section_options_, shb_application, texts.application);
    append_end(section_options_);
}

// Of the first file, what is known of the interfaces; of a later one, what the section before it had.
void PcapngEncoder::begin(Output& to) {
    if (!in_section_ && !live_)
        return; // a file's own section may come
    const std::vector<std::uint16_t> before = order_;
    if (!write_section(to))
        return;
    for (const std::uint16_t interface : before)
        describe(interface, to);
    for (std::size_t i = 0; live_ && i < interfaces().size(); ++i)
        described(static_cast<std::uint16_t>(i), to);
}

bool PcapngEncoder::write_section(Output& to) {
    in_section_ = true;
    described_.clear();
    order_.clear();
    const std::size_t length = section_bytes + section_options_.size();
    std::byte* at = reserve_block(section_header, length, to);
    if (at == nullptr)
        return false;
    store(at + 8, byte_order_magic, swap_);
    store<std::uint16_t>(at + 12, 1, swap_);
    store<std::uint16_t>(at + 14, 0, swap_);
    store<std::uint64_t>(at + 16, UINT64_MAX, swap_); // the section's length: not known beforehand
    std::copy_n(bytes_of(section_options_).data(), section_options_.size(), at + 24);
    to.commit(length, false);
    return true;
}

// Type and length, at both ends.
std::byte* PcapngEncoder::reserve_block(std::uint32_t type, std::size_t length, Output& to) const noexcept {
    std::byte* at = to.reserve(length);
    if (at == nullptr)
        return nullptr;
    const auto number = static_cast<std::uint32_t>(length);
    store(at, type, swap_);
    store(at + 4, number, swap_);
    store(at + length - 4, number, swap_);
    return at;
}

bool PcapngEncoder::describe(std::uint16_t interface, Output& to) {
    if (!in_section_ && !write_section(to))
        return false;
    const Interface& of = interfaces()[interface];
    std::string options = options_of(of, live_);
    if (swap_) {
        options = reordered_options(interface_description, bytes_of(options), false, true);
        append_option(options, opt_end, std::string(), true);
    }
    std::byte* at = reserve_block(interface_description, interface_bytes + options.size(), to);
    if (at == nullptr)
        return false;
    store(at + 8, static_cast<std::uint16_t>(of.linktype), swap_);
    store<std::uint16_t>(at + 10, 0, swap_);
    store(at + 12, of.snaplen, swap_);
    std::copy_n(bytes_of(options).data(), options.size(), at + 16);
    to.commit(interface_bytes + options.size(), false);
    if (described_.size() <= interface)
        described_.resize(interface + std::size_t{1});
    described_[interface] = {static_cast<std::uint32_t>(order_.size()), of.linktype, of.snaplen};
    order_.push_back(interface);
    return true;
}

std::uint32_t PcapngEncoder::write(const Batch& batch, Rows rows, const Limits& limits, Output& to) {
    const auto items = batch.annotations().items();
    auto item = std::lower_bound(items.begin(), items.end(), rows.begin,
                                 [](const Annotation& a, std::uint32_t row) { return a.row < row; });
    std::uint32_t row = rows.begin;
    const bool processes = batch.has(Extra::pid) && interfaces().processes() != nullptr;
    process_comments_.clear();
    for (;; ++row) {
        if (row < rows.end && limits.reached(to.taken()))
            return row;
        for (; item != items.end() && item->row == row && (row < rows.end || row == batch.size()); ++item)
            if (!write_annotation(batch, *item, to))
                return row;
        if (processes && row != rows.end)
            gather_process(batch, row);
        if (row == rows.end || !write_packet(batch[row], to))
            return row;
    }
}

bool PcapngEncoder::write_annotation(const Batch& batch, const Annotation& item, Output& to) {
    const auto bytes = batch.annotations().bytes_of(item);
    switch (item.kind) {
    case Annotation::Kind::section:
        section_options_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        swap_ = item.swapped;
        return write_section(to);
    case Annotation::Kind::packet_option:
        gather_option(item, bytes);
        return true;
    case Annotation::Kind::block:
        break;
    }
    if (item.type == interface_description)
        return describe(static_cast<std::uint16_t>(load<std::uint32_t>(bytes.data())), to);
    if (item.type == interface_statistics)
        return write_kept_statistics(bytes, to);
    if (item.type == custom_not_copied) { // the format says so
        left_out_.add(1);
        return true;
    }
    return write_block(item.type, bytes, item.swapped, to);
}

bool PcapngEncoder::write_block(std::uint32_t type, std::span<const std::byte> body, bool swapped, Output& to) {
    if (!in_section_ && !write_section(to))
        return false;
    std::string reordered;
    if (swapped != swap_) {
        reordered = reordered_block(type, body, swapped);
        body = bytes_of(reordered);
    }
    std::byte* at = reserve_block(type, body.size() + block_overhead, to);
    if (at == nullptr)
        return false;
    std::copy(body.begin(), body.end(), at + 8);
    to.commit(body.size() + block_overhead, false);
    return true;
}

// As the reader left it: the interface's row, times in ns, this machine's byte order.
bool PcapngEncoder::write_kept_statistics(std::span<const std::byte> body, Output& to) {
    const auto interface = static_cast<std::uint16_t>(load<std::uint32_t>(body.data()));
    if (!described(interface, to))
        return false;
    std::string changed(12, '\0');
    const auto head = std::as_writable_bytes(std::span(changed));
    store(head.data(), described_[interface].id, swap_);
    store(head.data() + 4, load<std::uint32_t>(body.data() + 4), swap_);
    store(head.data() + 8, load<std::uint32_t>(body.data() + 8), swap_);
    changed += reordered_options(interface_statistics, body.subspan(12), false, swap_);
    append_option(changed, opt_end, std::string(), swap_);
    return write_block(interface_statistics, bytes_of(changed), swap_, to);
}

// Whose packet it is, as a comment.
void PcapngEncoder::gather_process(const Batch& batch, std::uint32_t row) {
    const std::uint32_t pid = batch.extra(Extra::pid, row);
    const std::uint32_t netns = batch.has(Extra::netns) ? batch.extra(Extra::netns, row) : 0;
    if (pid == 0)
        return;
    const auto [at, is_new] = process_comments_.try_emplace({pid, netns});
    if (is_new)
        at->second = interfaces().processes()->find(pid, netns).value_or(Process{pid, netns, "?", 0, {}}).text();
    append_option(options_.bytes, opt_comment, at->second, swap_);
}

void PcapngEncoder::gather_option(const Annotation& item, std::span<const std::byte> value) {
    const auto code = static_cast<std::uint16_t>(item.type);
    if (code == opt_custom_text_not_copied || code == opt_custom_bytes_not_copied) {
        left_out_.add(1);
        return;
    }
    options_.has_flags |= code == epb_flags;
    options_.has_queue |= code == epb_queue;
    const std::size_t begin = options_.bytes.size() + 4;
    append_option(options_.bytes, code, value, swap_);
    if (item.swapped != swap_)
        reorder_value(enhanced_packet, code,
                      std::as_writable_bytes(std::span(options_.bytes.data() + begin, value.size())));
}

bool PcapngEncoder::write_packet(const Packet& packet, Output& to) {
    if (!described(packet.interface, to))
        return false;
    const Described& from = described_[packet.interface];
    const Body body(packet, from.linktype, from.snaplen);
    several_queues_ |= live_ && packet.queue != 0;
    const std::uint32_t flags = options_.has_flags ? 0 : epb_of_flags(packet.flags);
    const bool queue = (packet.queue != 0 || several_queues_) && !options_.has_queue;
    std::size_t options = options_.bytes.size() + (flags != 0) * number_option_bytes + queue * number_option_bytes;
    if ((packet.flags & flag_no_ts) != 0 && from.id == 0 && options == 0 &&
        body.caplen() == std::min(body.origlen(), from.snaplen != 0 ? from.snaplen : UINT32_MAX)) [[unlikely]]
        return write_simple(body, to);
    options += options != 0 ? end_option_bytes : 0;

    const std::size_t length = packet_bytes + padded(body.caplen()) + options;
    std::byte* at = reserve_block(enhanced_packet, length, to);
    if (at == nullptr)
        return false;
    store(at + 8, from.id, swap_);
    store(at + 12, static_cast<std::uint32_t>(static_cast<std::uint64_t>(packet.ts) >> 32), swap_);
    store(at + 16, static_cast<std::uint32_t>(packet.ts), swap_);
    store(at + 20, body.caplen(), swap_);
    store(at + 24, body.origlen(), swap_);
    std::byte* end = at + 28 + body.caplen();
    body.copy_to(at + 28, copied_);
    end = std::fill_n(end, padded(body.caplen()) - body.caplen(), std::byte{0});
    const auto put_number = [&](std::uint16_t code, std::uint32_t value) {
        store(end, code, swap_);
        store<std::uint16_t>(end + 2, sizeof value, swap_);
        store(end + 4, value, swap_);
        end += number_option_bytes;
    };
    if (flags != 0)
        put_number(epb_flags, flags);
    if (queue)
        put_number(epb_queue, packet.queue);
    if (!options_.bytes.empty()) {
        end = std::copy_n(bytes_of(options_.bytes).data(), options_.bytes.size(), end);
        options_ = {};
    }
    if (options != 0)
        store<std::uint32_t>(end, 0);
    to.commit(length, true);
    return true;
}

bool PcapngEncoder::write_simple(const Body& body, Output& to) {
    const std::size_t length = simple_packet_bytes + padded(body.caplen());
    std::byte* at = reserve_block(simple_packet, length, to);
    if (at == nullptr)
        return false;
    store(at + 8, body.origlen(), swap_);
    body.copy_to(at + 12, copied_);
    std::fill_n(at + 12 + body.caplen(), padded(body.caplen()) - body.caplen(), std::byte{0});
    to.commit(length, true);
    return true;
}

void PcapngEncoder::end(Output& to, const std::vector<std::optional<Stats>>& statistics) {
    if (!in_section_ && !write_section(to))
        return;
    const bool none = order_.empty(); // no packet came: the interfaces are still worth a word
    for (std::size_t i = 0; none && i < interfaces().size(); ++i)
        describe(static_cast<std::uint16_t>(i), to);
    for (std::size_t i = 0; i < statistics.size(); ++i)
        if (statistics[i])
            write_statistics(static_cast<std::uint16_t>(i), *statistics[i], to);
}

// What is not known is not written.
bool PcapngEncoder::write_statistics(std::uint16_t interface, const Stats& stats, Output& to) {
    if (!described(interface, to))
        return false;
    const auto now = static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
    std::string body(12, '\0');
    const auto head = std::as_writable_bytes(std::span(body));
    store(head.data(), described_[interface].id, swap_);
    store(head.data() + 4, static_cast<std::uint32_t>(now >> 32), swap_);
    store(head.data() + 8, static_cast<std::uint32_t>(now), swap_);
    const auto dropped_os = sum(stats.dropped_ring, stats.dropped_fill);
    const auto accepted = stats.received && dropped_os ? sum(stats.received, dropped_os) : std::nullopt;
    const auto put = [&](std::uint16_t code, std::optional<std::uint64_t> value) {
        if (value)
            append_number(body, code, *value, swap_);
    };
    put(isb_ifrecv, accepted && stats.filtered ? sum(accepted, stats.filtered) : std::nullopt);
    put(isb_ifdrop, sum(stats.dropped_nic, stats.dropped_link));
    put(isb_filteraccept, accepted);
    put(isb_osdrop, dropped_os);
    put(isb_usrdeliv, stats.received);
    if (body.size() == 12)
        return true; // nothing is known
    append_option(body, opt_end, std::string(), swap_);
    return write_block(interface_statistics, bytes_of(body), swap_, to);
}

} // namespace wirepath::files
