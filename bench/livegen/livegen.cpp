// SPDX-License-Identifier: Apache-2.0
// livegen IFACE LENGTH SECONDS [PPS]: one UDP frame out of IFACE, again and again.
//
// The fastest source that needs no module: BPF_PROG_RUN with live frames, redirected to the interface. A veth's other
// end must receive through NAPI (an XDP program there, or GRO on), or the kernel refuses frames. Without PPS as fast as
// one CPU can, which also does what the other end's kernel does on receiving: pin this program (taskset), and run what
// captures on another CPU. The pace is kept by the BPF program, in bursts of 64 frames.
//
// Prints one line of JSON: frames, seconds, and the time of the kernel's receive softirq (NET_RX, all CPUs) meanwhile.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <net/if.h>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "livegen.skel.h"

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t least_length = 42, most_length = 3500; // headers; a page less what XDP keeps for itself
constexpr std::uint32_t burst = 64;                          // the kernel's own default for live frames
constexpr std::uint32_t frames_a_call = 1 << 18;             // a call takes 24 ms before its first frame

struct Wanted {
    std::uint32_t ifindex;
    std::size_t length;
    double seconds, pps;
};

double number(const char* text) {
    double value = 0;
    const char* end = text + std::strlen(text);
    if (std::from_chars(text, end, value).ptr != end || value < 0)
        throw std::invalid_argument(std::string(text) + " is not a number");
    return value;
}

Wanted read_arguments(std::span<char*> arguments) {
    if (arguments.size() != 4 && arguments.size() != 5)
        throw std::invalid_argument("usage: livegen IFACE LENGTH SECONDS [PPS]");
    Wanted wanted{::if_nametoindex(arguments[1]), static_cast<std::size_t>(number(arguments[2])), number(arguments[3]),
                  arguments.size() == 5 ? number(arguments[4]) : 0};
    if (wanted.ifindex == 0)
        throw std::invalid_argument(std::string("no interface ") + arguments[1]);
    if (wanted.length < least_length || wanted.length > most_length)
        throw std::invalid_argument("a frame has 42 to 3500 bytes");
    return wanted;
}

void put16(std::uint8_t* at, std::size_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}

std::array<std::uint8_t, most_length> make_frame(std::size_t length) {
    static constexpr std::uint8_t head[least_length] = {
        2,    0,    0, 0, 0, 2, 2, 0, 0,    0,  0, 1, 8,  0, // Ethernet, to a host that is not there
        0x45, 0,    0, 0, 0, 0, 0, 0, 0x40, 17, 0, 0, 10, 99, 0, 2, 10, 99, 0, 1, // IPv4
        0x13, 0x88, 0, 9, 0, 0, 0, 0};                                            // UDP, 5000 to 9, no checksum
    std::array<std::uint8_t, most_length> frame{};
    std::memcpy(frame.data(), head, sizeof head);
    put16(&frame[16], length - 14);
    put16(&frame[38], length - 34);
    std::uint32_t sum = 0;
    for (std::size_t at = 14; at < 34; at += 2)
        sum += static_cast<std::uint32_t>(frame[at] << 8 | frame[at + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(&frame[24], ~(sum + (sum >> 16)) & 0xffff);
    return frame;
}

void check(int error, const char* doing) {
    if (error != 0)
        throw std::system_error(error < 0 ? -error : error, std::generic_category(), doing);
}

struct Destroy {
    void operator()(livegen_bpf* skeleton) const { livegen_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<livegen_bpf, Destroy>;

Skeleton load(const Wanted& wanted) {
    Skeleton bpf(livegen_bpf__open());
    if (!bpf)
        throw std::system_error(errno, std::generic_category(), "opening the BPF programs");
    bpf->rodata->out_ifindex = static_cast<int>(wanted.ifindex);
    if (wanted.pps > 0)
        bpf->rodata->burst_ns = static_cast<std::uint64_t>(burst / wanted.pps * 1e9);
    check(livegen_bpf__load(bpf.get()), "loading the BPF programs");
    check(livegen_bpf__attach(bpf.get()), "attaching to the softirq tracepoints");
    return bpf;
}

// At a pace, all in one call: the BPF program waits inside it.
int frames_of_a_call(const Wanted& wanted) {
    if (wanted.pps <= 0)
        return frames_a_call;
    return static_cast<int>(std::clamp(wanted.pps * wanted.seconds, double{burst}, 1e9));
}

std::chrono::duration<double> send(livegen_bpf& bpf, const Wanted& wanted) {
    auto frame = make_frame(wanted.length);
    xdp_md context{};
    context.data_end = static_cast<std::uint32_t>(wanted.length);
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.data_in = frame.data();
    run.data_size_in = context.data_end;
    run.ctx_in = &context;
    run.ctx_size_in = sizeof context;
    run.repeat = frames_of_a_call(wanted);
    run.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    run.batch_size = burst;
    const int program = bpf_program__fd(bpf.progs.redirect);
    const auto start = Steady::now();
    do
        check(bpf_prog_test_run_opts(program, &run), "BPF_PROG_RUN");
    while (wanted.pps <= 0 && std::chrono::duration<double>(Steady::now() - start).count() < wanted.seconds);
    return Steady::now() - start;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const Wanted wanted = read_arguments({argv, static_cast<std::size_t>(argc)});
        const Skeleton bpf = load(wanted);
        const double seconds = send(*bpf, wanted).count();
        const auto net_rx =
            std::accumulate(std::begin(bpf->bss->net_rx_ns), std::end(bpf->bss->net_rx_ns), std::uint64_t{0});
        std::printf("{\"frames\": %llu, \"seconds\": %.6f, \"net_rx_ns\": %llu}\n",
                    static_cast<unsigned long long>(bpf->bss->frames), seconds,
                    static_cast<unsigned long long>(net_rx));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "livegen: %s\n", error.what());
        return 1;
    }
}
