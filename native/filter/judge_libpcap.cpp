// SPDX-License-Identifier: Apache-2.0
#include "filter/judge.hpp"

#ifdef WIREPATH_HAVE_LIBPCAP
#include "linux/libpcap.hpp"
#else
#include "core/error.hpp"
#endif

namespace wirepath {

#ifdef WIREPATH_HAVE_LIBPCAP
namespace {

class LibpcapJudge final : public Judge {
  public:
    explicit LibpcapJudge(const Filter& filter) : offline_filter_(libpcap().offline_filter) {
        for (const Instruction& i : filter.program())
            instructions_.push_back({i.code, i.jt, i.jf, i.k});
        program_ = {static_cast<unsigned>(instructions_.size()), instructions_.data()};
    }

    Verdict judge(const Packet& packet) override {
        if (packet.vlan_tpid != 0)
            return {false, tag_beside};
        pcap_pkthdr header{};
        header.caplen = static_cast<bpf_u_int32>(packet.data.size());
        header.len = packet.origlen;
        return {offline_filter_(&program_, &header, reinterpret_cast<const u_char*>(packet.data.data())) != 0, {}};
    }

  private:
    decltype(LibPcap::offline_filter) offline_filter_;
    std::vector<bpf_insn> instructions_;
    bpf_program program_;
};

} // namespace

std::unique_ptr<Judge> make_libpcap_judge(const Filter& filter) { return std::make_unique<LibpcapJudge>(filter); }

#else

std::unique_ptr<Judge> make_libpcap_judge(const Filter&) {
    throw Error(Code::unsupported, "libpcap was not found when this was built");
}

#endif

} // namespace wirepath
