// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "filter/filtered_source.hpp"
#include "linux/mapping.hpp"
#include "pipeline/supply.hpp"

namespace wirepath {

// A capture file to be sent. Sent again and again it is kept in memory, if that is no more than `memory` bytes, and
// opened anew for each pass otherwise.
class Recording final : public Supply {
  public:
    // Throws Error.
    Recording(std::string path, std::string filter, bool repeated, std::size_t memory = std::size_t{256} << 20);

    Status next(const Batch*& batch) noexcept override;
    bool again() noexcept override;
    void interrupt() noexcept override;
    Error fault() const override { return fault_; }
    const InterfaceTable& interfaces() const noexcept override { return *interfaces_; }
    bool has_times() const noexcept override { return true; }

  private:
    struct Kept {
        Mapping memory;
        Batch batch;
    };
    void open();
    bool keep_all(std::size_t most);
    Kept keep(const Batch& batch, std::size_t bytes);
    Status failed(Error error) noexcept {
        fault_ = std::move(error);
        return Status::error;
    }

    const std::string path_, filter_;
    std::shared_ptr<InterfaceTable> interfaces_;
    std::unique_ptr<FilteredSource> source_;
    Batch read_;
    std::vector<Kept> kept_; // the whole file
    std::size_t next_ = 0;   // of kept_
    CopyCount copies_;
    Error fault_{Code::system, "no error"};
};

} // namespace wirepath
