// SPDX-License-Identifier: Apache-2.0
#include "core/annotations.hpp"

#include <algorithm>

namespace wirepath {

void Annotations::add(Annotation::Kind kind, std::uint32_t row, std::uint32_t type, std::span<const std::byte> bytes,
                      bool swapped) {
    items_.push_back({kind, swapped, row, type, static_cast<std::uint32_t>(bytes_.size()),
                      static_cast<std::uint32_t>(bytes.size())});
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

// A packet's options go with the packet; a block or a section stays, before the next packet that does.
void Annotations::keep(std::span<const std::uint32_t> rows) noexcept {
    std::size_t kept = 0;
    for (const Annotation& item : items_) {
        const auto at = std::lower_bound(rows.begin(), rows.end(), item.row);
        if (item.kind == Annotation::Kind::packet_option && (at == rows.end() || *at != item.row))
            continue;
        items_[kept] = item;
        items_[kept++].row = static_cast<std::uint32_t>(at - rows.begin());
    }
    items_.resize(kept);
}

} // namespace wirepath
