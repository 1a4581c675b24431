// SPDX-License-Identifier: Apache-2.0
// Packets as text: a line each in tcpdump's manner, or a JSON object each (docs/json.md).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/sink.hpp"
#include "decode/line.hpp"

namespace wirepath {

struct PrintOptions {
    enum class Format : std::uint8_t { text, json };
    Format format = Format::text;
    Style style;                                // of text
    bool data = false;                          // JSON: the bytes, too, in hex
    bool line_buffered = false;                 // nothing waits in our buffer; always so on a terminal
    int fd = 1;                                 // borrowed
    std::map<std::uint32_t, std::string> names; // of interfaces by index, for a capture of `any`
};

class PrintSink : public Sink {
  public:
    explicit PrintSink(const PrintOptions& options); // throws Error

    void begin(const Info& info) override;
    Status consume(const Batch& batch, Rows rows) noexcept override;
    Status idle() noexcept override { return flush(); }
    Status end(const Stats& stats) noexcept override;
    // EPIPE when who was reading has gone.
    Error fault() const override { return *fault_; }

    std::uint64_t packets() const noexcept { return packets_; }

  private:
    struct Known {
        const Interface* interface;
        std::string json; // what is the same for each packet of the interface
    };

    bool meet_interfaces(std::size_t count);
    void put_json(const Packet& packet, const Known& from) noexcept;
    bool keep_waiting() noexcept;
    Status flush() noexcept;
    Status fail(Error error) noexcept;

    PrintOptions options_;
    LineDecoder decoder_;
    Text text_;
    std::shared_ptr<InterfaceTable> interfaces_;
    std::vector<Known> known_;
    std::chrono::steady_clock::time_point flushed_{};
    std::uint64_t packets_ = 0;
    std::optional<Error> fault_;
};

} // namespace wirepath
