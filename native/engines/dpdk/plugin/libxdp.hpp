// SPDX-License-Identifier: Apache-2.0
// What net_af_xdp's libraries leave to be tidied up.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace wirepath::dpdk {

// libxdp and libbpf print to standard error, each with one switch for the whole process.
class QuietLibxdp {
  public:
    QuietLibxdp() noexcept;
    QuietLibxdp(const QuietLibxdp&) = delete;
    QuietLibxdp& operator=(const QuietLibxdp&) = delete;
    ~QuietLibxdp();

  private:
    using Print = void* (*)(void*); // sets it, and returns the one before
    std::array<std::pair<Print, void*>, 2> before_{};
};

// A descriptor of libxdp's program or of one of its maps, and the number of that.
using LibxdpDescriptor = std::pair<int, std::uint32_t>;
std::vector<LibxdpDescriptor> libxdp_descriptors();

// Those that libxdp forgets (seen in 1.3.1).
class LibxdpDescriptors {
  public:
    void note(const std::vector<LibxdpDescriptor>& before); // what was opened since
    void close_forgotten() noexcept;                        // the device is closed: what is still open of them

  private:
    std::vector<LibxdpDescriptor> noted_;
};

} // namespace wirepath::dpdk
