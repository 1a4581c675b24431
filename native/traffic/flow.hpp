// SPDX-License-Identifier: Apache-2.0
// Valid Ethernet frames of many flows: UDP or TCP over IPv4 or IPv6, every combination of addresses and ports once in a
// pass, each in every size.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/buffer_pool.hpp"
#include "pipeline/supply.hpp"

namespace wirepath {

struct FlowSpec {
    struct Address {
        std::array<std::uint8_t, 16> bytes{}; // IPv4: the first four
        std::uint64_t count = 1;              // this one and those that follow
    };
    struct Port {
        std::uint16_t first = 0;
        std::uint32_t count = 1;
    };
    bool ipv6 = false, tcp = false;
    std::uint8_t tcp_flags = 0x10; // ACK
    std::array<std::uint8_t, 6> source_mac{}, target_mac{};
    Address source, target;
    Port source_port, target_port;
    std::vector<std::uint32_t> sizes; // bytes of a frame without FCS, in the order in which they are used
};

class Flow final : public Supply {
  public:
    explicit Flow(FlowSpec spec); // throws Error

    Status next(const Batch*& batch) noexcept override;
    bool again() noexcept override {
        made_ = 0;
        return true;
    }
    Error fault() const override { return Error(Code::system, "no error"); }
    const InterfaceTable& interfaces() const noexcept override { return interfaces_; }
    bool has_times() const noexcept override { return false; }
    std::uint64_t frames_in_a_pass() const noexcept { return pass_; }

  private:
    struct Size {
        std::uint32_t bytes = 0;
        std::uint32_t payload_sum = 0; // of the checksum, without the number in it
    };
    std::uint32_t headers() const noexcept; // bytes
    void write(std::byte* to, const Size& size, std::uint64_t flow) noexcept;
    std::uint32_t write_ip(std::uint8_t* ip, const Size& size, std::uint64_t flow) noexcept;
    void write_transport(std::uint8_t* at, const Size& size, std::uint32_t sum, std::uint16_t source,
                         std::uint16_t target) noexcept;

    const FlowSpec spec_;
    InterfaceTable interfaces_;
    std::vector<Size> sizes_;
    std::uint64_t flows_ = 1, pass_ = 1;
    std::uint64_t made_ = 0;   // in this pass
    std::uint64_t number_ = 0; // of the frame, in all passes
    std::uint32_t rows_;       // of a batch
    std::uint32_t stride_;     // bytes from frame to frame
    BufferPool memory_;
    Batch batch_;
};

} // namespace wirepath
