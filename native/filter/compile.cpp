// SPDX-License-Identifier: Apache-2.0
// The only complete grammar of pcap-filter(7) is libpcap's own.
#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "filter/filter.hpp"

#ifdef WIREPATH_HAVE_LIBPCAP
#include "linux/libpcap.hpp"
#endif

namespace wirepath {

#ifdef WIREPATH_HAVE_LIBPCAP
namespace {

struct Close {
    void operator()(pcap_t* handle) const { libpcap().close(handle); }
};
using Handle = std::unique_ptr<pcap_t, Close>;

struct Free {
    void operator()(bpf_program* program) const { libpcap().freecode(program); }
};

// Empty: it compiles.
std::string complaint_of(pcap_t* handle, const std::string& text) {
    bpf_program program{};
    if (libpcap().compile(handle, &program, text.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
        return libpcap().geterr(handle);
    libpcap().freecode(&program);
    return {};
}

bool is_syntax_error(const std::string& complaint) { return complaint.find("syntax error") != std::string::npos; }

// libpcap does not say where a syntax error is. Its parser stops at the first token that cannot stand there; until then
// it asks for one more, and its scanner complains of a number that is too large. So: the first token behind which it
// does not.
std::size_t place_of_syntax_error(pcap_t* handle, const std::string& text) {
    constexpr const char* blanks = " \t\r\n";
    constexpr const char* separators = " \t\r\n()";
    const std::string stumble = " 99999999999999999999";
    if (is_syntax_error(complaint_of(handle, stumble)))
        return text.size(); // libpcap before 1.10 takes it
    for (std::size_t at = text.find_first_not_of(blanks); at != std::string::npos;) {
        const std::size_t end = std::min(text.find_first_of(separators, at + 1), text.size());
        if (is_syntax_error(complaint_of(handle, text.substr(0, end) + stumble)))
            return at;
        at = text.find_first_not_of(blanks, end);
    }
    return text.size();
}

// What libpcap complains of by name stands in quotes.
std::size_t place_of(pcap_t* handle, const std::string& text, const std::string& complaint) {
    if (is_syntax_error(complaint))
        return place_of_syntax_error(handle, text);
    const std::size_t quote = complaint.find_first_of("\"'"), end = complaint.find_last_of("\"'");
    if (quote == std::string::npos || end <= quote)
        return text.size();
    return std::min(text.find(complaint.substr(quote + 1, end - quote - 1)), text.size());
}

std::vector<Instruction> compile_with(pcap_t* handle, const std::string& text) {
    bpf_program program{};
    if (libpcap().compile(handle, &program, text.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0) {
        const std::string complaint = libpcap().geterr(handle);
        const std::string here(place_of(handle, text, complaint), ' ');
        throw Error(Code::bad_filter, "in the filter: " + complaint + "\n    " + text + "\n    " + here + "^\n", 0,
                    "The language is described in pcap-filter(7)");
    }
    const std::unique_ptr<bpf_program, Free> owned(&program);
    std::vector<Instruction> code;
    code.reserve(program.bf_len);
    for (unsigned i = 0; i < program.bf_len; ++i) {
        const bpf_insn& from = program.bf_insns[i];
        code.push_back({from.code, from.jt, from.jf, from.k});
    }
    return code;
}

Handle open_dead(std::uint32_t linktype, std::uint32_t snaplen) {
    return Handle(libpcap().open_dead(dlt_of_linktype(linktype), static_cast<int>(snaplen)));
}

// Only a live handle compiles `vlan`, `inbound` and the like against the kernel's metadata.
Handle open_live(const std::string& interface, std::uint32_t snaplen) {
    char message[PCAP_ERRBUF_SIZE];
    Handle handle(libpcap().create(interface.c_str(), message));
    if (!handle)
        throw Error(Code::system, "compiling a filter for " + interface + ": " + message);
    libpcap().set_snaplen(handle.get(), static_cast<int>(snaplen));
    libpcap().set_buffer_size(handle.get(), 1 << 16);
    libpcap().set_immediate_mode(handle.get(), 1);
    const int result = libpcap().activate(handle.get());
    if (result == PCAP_ERROR_PERM_DENIED)
        throw Error(Code::permission, "compiling a filter that asks for VLAN tags or directions, for " + interface, 0,
                    "This needs CAP_NET_RAW: libpcap opens the interface for it. Keep the capability, or set the "
                    "filter before privileges are dropped");
    if (result < 0)
        throw Error(Code::system, "compiling a filter for " + interface + ": " + libpcap().statustostr(result) + " " +
                                      libpcap().geterr(handle.get()));
    return handle;
}

// Whether a live handle compiles it otherwise than a dead one.
bool asks_for_metadata(std::string_view text) {
    for (const std::string_view word : {"vlan", "inbound", "outbound", "ifindex"})
        if (text.find(word) != std::string_view::npos)
            return true;
    return false;
}

} // namespace

std::shared_ptr<const Filter> Filter::compile(std::string_view text, std::uint32_t linktype, std::uint32_t snaplen) {
    const std::string expression(text);
    const Handle handle = open_dead(linktype, snaplen);
    return std::shared_ptr<const Filter>(new Filter(expression, linktype, compile_with(handle.get(), expression)));
}

std::shared_ptr<const Filter> Filter::compile_live(std::string_view text, const std::string& interface,
                                                   std::uint32_t snaplen, std::uint32_t linktype) {
    if (linktype != 0 && !asks_for_metadata(text))
        return compile(text, linktype, snaplen); // the same program, without opening the interface
    const std::string expression(text);
    const Handle handle = open_live(interface, snaplen);
    const std::uint32_t its_own = linktype_of_dlt(libpcap().datalink(handle.get()));
    if (linktype == 0)
        linktype = its_own;
    else if (linktype != its_own && libpcap().set_datalink(handle.get(), dlt_of_linktype(linktype)) != 0)
        return compile(text, linktype, snaplen);
    return std::shared_ptr<const Filter>(new Filter(expression, linktype, compile_with(handle.get(), expression)));
}

#else

namespace {
Error without_libpcap() {
    return Error(Code::unsupported, "this build cannot compile filters: libpcap was not found when it was built", 0,
                 "Install libpcap-dev and build again");
}
} // namespace

std::shared_ptr<const Filter> Filter::compile(std::string_view, std::uint32_t, std::uint32_t) {
    throw without_libpcap();
}
std::shared_ptr<const Filter> Filter::compile_live(std::string_view, const std::string&, std::uint32_t, std::uint32_t) {
    throw without_libpcap();
}

#endif

} // namespace wirepath
