// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "core/engine.hpp"
#include "core/error.hpp"
#include "engines/tpacket_v3/ring.hpp"
#include "linux/fd.hpp"
#include "linux/interrupt.hpp"
#include "linux/packet_fanout.hpp"
#include "linux/packet_socket.hpp"

namespace wirepath::tpacket_v3 {

std::span<const OptionSpec> option_specs() noexcept; // of the engine

class RingSource final : public Source {
  public:
    // `member` of the fanout group; `row`: the interface's in the table. Throws Error.
    RingSource(const OpenRequest& request, const Options& given, std::shared_ptr<Fanout> fanout, std::uint16_t member);
    ~RingSource() override { stop(); }

    const Info& info() const noexcept override { return info_; }
    // The row of the interface that all members share.
    void set_row(std::uint16_t row) noexcept { info_.interface = row; }
    Interface interface() const { return socket_.interface(); }

    Place set_filter(std::shared_ptr<const Filter> filter) override { return socket_.set_filter(filter); }
    bool filter_settled() const noexcept override { return socket_.settled(before_batch_); }
    void start() override;
    Status receive(Batch& into, std::chrono::nanoseconds timeout) noexcept override;
    void interrupt() noexcept override {
        if (!socket_.in_child())
            interrupt_.raise();
    }
    void stop() noexcept override;
    Stats stats() override;
    Error fault() const override { return fault_; }

  private:
    Status next_block(std::chrono::nanoseconds timeout) noexcept;
    Status wait(std::chrono::nanoseconds timeout) noexcept;
    Status look_for_events() noexcept;
    void fill(Batch& into) noexcept;
    template <bool cooked>
    std::uint64_t push_packets(Batch& into, std::uint32_t count) noexcept;
    Status failed(Error error, Status status = Status::error) noexcept {
        fault_ = std::move(error);
        return status;
    }

    PacketSocket socket_;
    Ring ring_;
    Interrupt interrupt_;
    Fd events_; // an edge-triggered epoll over the socket
    std::shared_ptr<Fanout> fanout_;
    Info info_;
    Block block_; // the one being read

    std::uint64_t before_batch_ = 0; // packets delivered before the last batch
    bool gone_ = false;
    std::uint64_t gone_after_ = 0; // packets to deliver before that is said
    Counter received_, received_bytes_, waits_;
    Error fault_{Code::system, "no error"};
};

} // namespace wirepath::tpacket_v3
