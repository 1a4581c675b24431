// SPDX-License-Identifier: Apache-2.0
// DNS messages: names, questions and answers.
#include "decode/layers.hpp"

namespace wirepath::decode {
namespace {

enum : std::uint16_t {
    type_a = 1,
    type_ns = 2,
    type_cname = 5,
    type_soa = 6,
    type_ptr = 12,
    type_mx = 15,
    type_txt = 16,
    type_aaaa = 28,
    type_srv = 33,
    type_dname = 39,
    type_opt = 41,
    type_uri = 256
};

constexpr Name types[] = {
    {1, "A"},      {2, "NS"},      {3, "MD"},        {4, "MF"},     {5, "CNAME"},     {6, "SOA"},
    {7, "MB"},     {8, "MG"},      {9, "MR"},        {10, "NULL"},  {11, "WKS"},      {12, "PTR"},
    {13, "HINFO"}, {14, "MINFO"},  {15, "MX"},       {16, "TXT"},   {17, "RP"},       {18, "AFSDB"},
    {19, "X25"},   {20, "ISDN"},   {21, "RT"},       {22, "NSAP"},  {23, "NSAP_PTR"}, {24, "SIG"},
    {25, "KEY"},   {26, "PX"},     {27, "GPOS"},     {28, "AAAA"},  {29, "LOC"},      {30, "NXT"},
    {31, "EID"},   {32, "NIMLOC"}, {33, "SRV"},      {34, "ATMA"},  {35, "NAPTR"},    {36, "KX"},
    {37, "CERT"},  {38, "A6"},     {39, "DNAME"},    {40, "SINK"},  {41, "OPT"},      {42, "APL"},
    {43, "DS"},    {44, "SSHFP"},  {45, "IPSECKEY"}, {46, "RRSIG"}, {47, "NSEC"},     {48, "DNSKEY"},
    {99, "SPF"},   {100, "UINFO"}, {101, "UID"},     {102, "GID"},  {103, "UNSPEC"},  {104, "UNSPECA"},
    {249, "TKEY"}, {250, "TSIG"},  {251, "IXFR"},    {252, "AXFR"}, {253, "MAILB"},   {254, "MAILA"},
    {255, "ANY"},  {256, "URI"},
};
constexpr Name classes[] = {{1, "IN"}, {3, "CHAOS"}, {4, "HS"}, {255, "ANY"}};
constexpr std::string_view operations[] = {"",         " inv_q",    " stat",     " op3",     " notify",  " update",
                                           " op6",     " op7",      " op8",      " updateA", " updateD", " updateDA",
                                           " updateM", " updateMA", " zoneInit", " zoneRef"};
constexpr std::string_view results[] = {"",          " FormErr", " ServFail", " NXDomain", " NotImp",  " Refused",
                                        " YXDomain", " YXRRSet", " NXRRSet",  " NotAuth",  " NotZone", " Resp11",
                                        " Resp12",   " Resp13",  " Resp14",   " NoChange", " BadVers"};
constexpr std::uint32_t longest_name = 255;

class Message {
  public:
    Message(Context& context, const View& message, bool multicast) noexcept
        : c_(context), in_(message), multicast_(multicast) {}

    void print() noexcept {
        flags_ = in_.u16(2);
        at_ = 12;
        const bool whole = (flags_ & 0x8000) != 0 ? response() : query();
        if (whole)
            c_.out.put(" (", in_.length, ')');
        else
            c_.truncated("domain");
    }

  private:
    std::uint32_t count(std::uint32_t section) const noexcept { return in_.u16(4 + 2 * section); }
    std::uint32_t operation() const noexcept { return flags_ >> 11 & 15u; }

    bool query() noexcept {
        c_.out.put(in_.u16(0), operations[operation()], (flags_ & 0x0100) != 0 ? "+" : "",
                   (flags_ & 0x0010) != 0 ? "%" : "");
        if ((flags_ & 0x6cf) != 0) {
            c_.out.put(" [b2&3=0x");
            c_.out.hex(flags_);
            c_.out.put(']');
        }
        odd_counts();
        for (std::uint32_t i = 0; i < count(0); ++i)
            if ((i > 0 && at_ >= in_.captured) || !question())
                return false;
        return !c_.verbose(2) || (records(count(1), "", true) && authority_and_additional());
    }

    void odd_counts() noexcept {
        const bool inverse = operation() == 1;
        const auto say = [this](std::uint32_t section, std::uint32_t usual, std::string_view letter) {
            if (count(section) != usual)
                c_.out.put(" [", count(section), letter, ']');
        };
        if (inverse) {
            say(0, 0, "q");
            say(1, 1, "a");
        } else {
            say(1, 0, "a");
            say(0, 1, "q");
        }
        say(2, 0, "n");
        say(3, 0, "au");
    }

    bool response() noexcept {
        c_.out.put(in_.u16(0), operations[operation()]);
        result();
        c_.out.put((flags_ & 0x0400) != 0 ? "*" : "", (flags_ & 0x0080) != 0 ? "" : "-",
                   (flags_ & 0x0200) != 0 ? "|" : "", (flags_ & 0x0020) != 0 ? "$" : "");
        if (count(0) != 1)
            c_.out.put(" [", count(0), "q]");
        for (std::uint32_t i = 0; i < count(0); ++i) {
            if (i > 0)
                c_.out.put(',');
            if (c_.verbose(2))
                c_.out.put(" q:");
            if (c_.verbose(2) ? !question() : !skip_question())
                return false;
        }
        c_.out.put(' ', count(1), '/', count(2), '/', count(3));
        return records(count(1), "", true) && (!c_.verbose(2) || authority_and_additional());
    }

    bool authority_and_additional() noexcept {
        return records(count(2), " ns:", false) && records(count(3), " ar:", false);
    }

    // The result code, with the upper bits that an OPT record may hold.
    void result() noexcept {
        const std::uint32_t code = (flags_ & 15u) | extended_result() << 4;
        if (code < std::size(results))
            c_.out.put(results[code]);
        else
            c_.out.put(code == 23 ? " BadCookie" : " Resp");
        if (code >= std::size(results) && code != 23)
            c_.out.decimal(code & 0xfff);
    }

    std::uint32_t extended_result() noexcept {
        std::uint32_t at = 12;
        for (std::uint32_t i = 0; i < count(0); ++i) {
            if (!skip_name(at))
                return 0;
            at += 4;
            if (at >= in_.captured)
                return 0;
        }
        const std::uint32_t before = count(1) + count(2);
        for (std::uint32_t i = 0; i < before + count(3); ++i) {
            if (!skip_name(at) || !in_.has(at, 10))
                return 0;
            if (i >= before && in_.u16(at) == type_opt)
                return in_.u8(at + 4);
            at += 10u + in_.u16(at + 8);
            if (at >= in_.captured)
                return 0;
        }
        return 0;
    }

    bool records(std::uint32_t left, std::string_view title, bool first_at_any_rate) noexcept {
        if (left > 0 && (first_at_any_rate || at_ < in_.captured)) {
            c_.out.put(title);
            do {
                if (!record())
                    return false;
                if (--left > 0 && at_ < in_.captured)
                    c_.out.put(',');
            } while (left > 0 && at_ < in_.captured);
        }
        return left == 0;
    }

    bool skip_question() noexcept {
        const bool whole = skip_name(at_);
        at_ += 4;
        return whole;
    }

    bool question() noexcept {
        const std::uint32_t name = at_;
        if (!skip_name(at_) || !in_.has(at_, 4))
            return false;
        const std::uint32_t type = in_.u16(at_), full_class = in_.u16(at_ + 2);
        at_ += 4;
        put_type(type);
        put_class(multicast_ ? full_class & 0x7fff : full_class);
        if (multicast_)
            c_.out.put((full_class & 0x8000) != 0 ? " (QU)" : " (QM)");
        c_.out.put("? ");
        return put_name(name);
    }

    bool record() noexcept {
        if (c_.verbose()) {
            c_.out.put(' ');
            if (!put_name(at_))
                return false;
        }
        if (!skip_name(at_) || !in_.has(at_, 10)) { // cut short: what follows is not counted as missing
            at_ = in_.captured;
            return true;
        }
        const std::uint32_t type = in_.u16(at_), full_class = in_.u16(at_ + 2);
        const std::uint32_t record_class = multicast_ ? full_class & 0x7fff : full_class;
        if (type != type_opt)
            put_class(record_class);
        if (multicast_ && (full_class & 0x8000) != 0)
            c_.out.put(" (Cache flush)");
        if (type != type_opt && c_.verbose(3))
            put_lifetime(in_.u32(at_ + 4));
        const bool dnssec_ok = (in_.u16(at_ + 6) & 0x8000) != 0;
        const std::uint32_t bytes = in_.u16(at_ + 8), data = at_ + 10;
        put_type(type);
        if (!in_.has(data, bytes))
            return false;
        at_ = data + bytes;
        if (type == type_opt) {
            c_.out.put(" UDPsize=", record_class, dnssec_ok ? " DO" : "");
            return put_edns_options(data, at_);
        }
        return put_data(type, data, bytes);
    }

    bool put_data(std::uint32_t type, std::uint32_t data, std::uint32_t bytes) noexcept {
        switch (type) {
        case type_a:
            return put_address(data, 4);
        case type_aaaa:
            return put_address(data, 16);
        case type_ns:
        case type_cname:
        case type_ptr:
        case type_dname:
            c_.out.put(' ');
            return put_name(data);
        case type_soa:
            return !c_.verbose() || put_soa(data);
        case type_mx:
            c_.out.put(' ');
            if (!in_.has(data, 2) || !put_name(data + 2))
                return false;
            c_.out.put(" ", in_.u16(data));
            return true;
        case type_srv:
            c_.out.put(' ');
            if (!in_.has(data, 6) || !put_name(data + 6))
                return false;
            c_.out.put(':', in_.u16(data + 4), ' ', in_.u16(data), ' ', in_.u16(data + 2));
            return true;
        case type_txt:
            return put_strings(data, data + bytes);
        case type_uri:
            if (bytes < 4)
                return true;
            c_.out.put(' ', in_.u16(data), ' ', in_.u16(data + 2), ' ');
            c_.out.visible(in_.data + data + 4, bytes - 4);
            return true;
        default:
            return true;
        }
    }

    bool put_address(std::uint32_t at, std::uint32_t bytes) noexcept {
        if (!in_.has(at, bytes))
            return false;
        c_.out.put(' ');
        bytes == 4 ? c_.out.ipv4(in_.data + at) : c_.out.ipv6(in_.data + at);
        return true;
    }

    bool put_soa(std::uint32_t at) noexcept {
        for (int name = 0; name < 2; ++name) {
            c_.out.put(' ');
            if (!put_name(at) || !skip_name(at))
                return false;
        }
        if (!in_.has(at, 20))
            return false;
        for (std::uint32_t i = 0; i < 5; ++i)
            c_.out.put(" ", in_.u32(at + 4 * i));
        return true;
    }

    bool put_strings(std::uint32_t at, std::uint32_t end) noexcept {
        while (at < end) {
            const std::uint32_t bytes = in_.u8(at);
            c_.out.put(" \"");
            if (!in_.has(at + 1, bytes))
                return false;
            c_.out.visible(in_.data + at + 1, bytes);
            c_.out.put('"');
            at += 1 + bytes;
        }
        return true;
    }

    bool put_edns_options(std::uint32_t at, std::uint32_t end) noexcept {
        constexpr Name names[] = {{1, "LLQ"},      {2, "UL"},          {3, "NSID"},       {5, "DAU"},
                                  {6, "DHU"},      {7, "N3U"},         {8, "ECS"},        {9, "EXPIRE"},
                                  {10, "COOKIE"},  {11, "KEEPALIVE"},  {12, "PADDING"},   {13, "CHAIN"},
                                  {14, "KEY-TAG"}, {16, "CLIENT-TAG"}, {17, "SERVER-TAG"}};
        if (at >= end)
            return true;
        c_.out.put(" [");
        while (at < end) {
            if (!in_.has(at, 4) || !in_.has(at + 4, in_.u16(at + 2)))
                return false;
            const std::uint32_t code = in_.u16(at), bytes = in_.u16(at + 2);
            const std::string_view name = name_of(names, code);
            if (name.empty())
                c_.out.put("Opt", code);
            else
                c_.out.put(name);
            if (bytes > 0)
                put_edns_value(code, at + 4, bytes);
            at += 4 + bytes;
            if (at < end)
                c_.out.put(',');
        }
        c_.out.put(']');
        return true;
    }

    void put_edns_value(std::uint32_t code, std::uint32_t at, std::uint32_t bytes) noexcept {
        c_.out.put(' ');
        if (code == 12) {
            c_.out.put('(', bytes, ')');
        } else if (code == 8) {
            put_client_subnet(at, bytes);
        } else if (code == 10 && bytes > 8) {
            c_.out.hex_bytes(in_.data + at, 8);
            c_.out.put(' ');
            c_.out.hex_bytes(in_.data + at + 8, bytes - 8);
        } else {
            c_.out.hex_bytes(in_.data + at, bytes);
        }
    }

    void put_client_subnet(std::uint32_t at, std::uint32_t bytes) noexcept {
        std::uint8_t address[16] = {};
        const std::uint32_t family = bytes < 4 ? 0 : in_.u16(at), longest = family == 1 ? 4 : family == 2 ? 16 : 0;
        if (longest == 0 || bytes - 4 > longest)
            return c_.invalid();
        std::copy_n(in_.data + at + 4, bytes - 4, address);
        family == 1 ? c_.out.ipv4(address) : c_.out.ipv6(address);
        c_.out.put('/', static_cast<std::uint32_t>(in_.u8(at + 2)), '/', static_cast<std::uint32_t>(in_.u8(at + 3)));
    }

    void put_type(std::uint32_t type) noexcept {
        const std::string_view name = name_of(types, type);
        if (name.empty())
            c_.out.put(" Type", type);
        else
            c_.out.put(' ', name);
    }

    void put_class(std::uint32_t value) noexcept {
        if (value == 1)
            return;
        const std::string_view name = name_of(classes, value);
        if (name.empty())
            c_.out.put(" (Class ", value, ')');
        else
            c_.out.put(' ', name);
    }

    void put_lifetime(std::uint32_t seconds) noexcept {
        constexpr Name units[] = {{31536000, "y"}, {604800, "w"}, {86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
        c_.out.put(" [");
        if (seconds == 0)
            c_.out.put("0s");
        for (const Name& unit : units) {
            if (seconds >= unit.value)
                c_.out.put(seconds / unit.value, unit.name);
            seconds %= unit.value;
        }
        c_.out.put(']');
    }

    bool skip_name(std::uint32_t& at) const noexcept {
        while (in_.has(at, 1)) {
            const std::uint32_t label = in_.u8(at++);
            if (label == 0)
                return true;
            if (label >= 0xc0) {
                ++at;
                return true;
            }
            if (label >= 0x40)
                return false;
            at += label;
        }
        return false;
    }

    // Pointers may only point backwards, and each before the last one, so that the loop ends.
    bool put_name(std::uint32_t at) noexcept {
        std::uint32_t characters = 0, limit = at;
        if (in_.has(at, 1) && in_.u8(at) == 0)
            c_.out.put('.');
        while (in_.has(at, 1)) {
            const std::uint32_t label = in_.u8(at++);
            if (label == 0) {
                if (characters > longest_name)
                    c_.out.put("<DOMAIN NAME TOO LONG>");
                return true;
            }
            if (label >= 0xc0) {
                if (!in_.has(at, 1))
                    return false;
                at = (label << 8 | in_.u8(at)) & 0x3fff;
                if (at >= limit) {
                    c_.out.put("<BAD PTR>");
                    return false;
                }
                limit = at;
                continue;
            }
            if (label >= 0x40) {
                c_.out.put("<BAD LABEL TYPE>");
                return false;
            }
            if (!in_.has(at, label))
                return false;
            put_label(at, label, characters);
            at += label;
        }
        return false;
    }

    void put_label(std::uint32_t at, std::uint32_t label, std::uint32_t& characters) noexcept {
        if (characters < longest_name)
            c_.out.visible(in_.data + at, std::min(label, longest_name - characters));
        characters += label;
        if (characters <= longest_name)
            c_.out.put('.');
        ++characters;
    }

    Context& c_;
    const View& in_;
    const bool multicast_;
    std::uint32_t flags_ = 0, at_ = 0;
};

} // namespace

void dns(Context& c, View in, DnsOver over) noexcept {
    if (over == DnsOver::tcp) {
        if (in.length < 2) {
            c.out.put(" [DNS over TCP: length ", in.length, " < 2]");
            return c.invalid();
        }
        if (!c.need(in, 2, "domain"))
            return;
        if (in.u16(0) != in.length - 2) {
            c.out.put(" [prefix length(", in.u16(0), ") != length(", in.length - 2, ")]");
            return c.invalid();
        }
        in = in.after(2);
        c.out.put(' ');
    }
    if (in.length < 12) {
        c.out.put("domain [length ", in.length, " < 12]");
        return c.invalid();
    }
    if (c.need(in, 12, "domain"))
        Message(c, in, over == DnsOver::multicast).print();
}

} // namespace wirepath::decode
