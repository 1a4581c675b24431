// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "files/encoder.hpp"

namespace wirepath::files {

// pcap has one link-layer type a file, and no place for what is not a packet.
class PcapEncoder final : public Encoder {
  public:
    PcapEncoder(std::shared_ptr<InterfaceTable> interfaces, bool nanoseconds)
        : Encoder(std::move(interfaces)), nanoseconds_(nanoseconds) {}

    void begin(Output& to) override;
    std::uint32_t write(const Batch& batch, Rows rows, const Limits& limits, Output& to) override;
    void end(Output& to, const std::vector<std::optional<Stats>>& statistics) override;

  private:
    bool write_header(const Interface& of, Output& to);
    bool fits(std::uint16_t interface, Output& to);

    const bool nanoseconds_;
    bool header_written_ = false;
    std::uint32_t linktype_ = 0, snaplen_ = 0;
    std::uint32_t fitting_ = UINT32_MAX; // the row of the interface table that was found to fit last
};

} // namespace wirepath::files
