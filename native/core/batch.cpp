// SPDX-License-Identifier: Apache-2.0
#include "core/batch.hpp"

namespace wirepath {

Columns::Columns(std::uint32_t rows)
    : capacity(rows), ts(new std::int64_t[rows]), offset(new std::uint64_t[rows]), caplen(new std::uint32_t[rows]),
      origlen(new std::uint32_t[rows]), interface(new std::uint16_t[rows]), queue(new std::uint16_t[rows]),
      vlan_tci(new std::uint16_t[rows]), vlan_tpid(new std::uint16_t[rows]), flags(new std::uint16_t[rows]) {}

Batch::Batch(std::uint32_t capacity) : columns_(capacity) {}

void Batch::begin(const std::byte* base, std::size_t bytes, Lease lease, std::uint8_t extras) noexcept {
    release();
    if (columns_.shared())
        columns_ = Columns::Ref(capacity()); // only where a user kept views of the last batch
    base_ = base;
    base_bytes_ = bytes;
    lease_ = std::move(lease);
    extras_ = extras;
    for (std::size_t which = 0; extras != 0 && which < extra_count; ++which)
        if (has(static_cast<Extra>(which)) && columns_->extra[which] == nullptr)
            columns_->extra[which] = std::make_unique<std::uint32_t[]>(capacity());
}

void Batch::copy_extras(const Batch& from, std::uint32_t from_row, std::uint32_t row) noexcept {
    for (std::size_t which = 0; extras_ != 0 && which < extra_count; ++which)
        if (const auto extra = static_cast<Extra>(which); has(extra))
            set_extra(extra, row, from.extra(extra, from_row));
}

void Batch::keep(std::span<const std::uint32_t> rows) noexcept {
    if (rows.size() == size_)
        return;
    Columns& c = *columns_.operator->();
    const auto gather = [rows](auto& column) {
        for (std::size_t to = 0; to < rows.size(); ++to)
            column[to] = column[rows[to]];
    };
    gather(c.ts), gather(c.offset), gather(c.caplen), gather(c.origlen), gather(c.interface);
    gather(c.queue), gather(c.vlan_tci), gather(c.vlan_tpid), gather(c.flags);
    for (std::size_t which = 0; which < extra_count; ++which)
        if (has(static_cast<Extra>(which)))
            gather(c.extra[which]);
    annotations_.keep(rows);
    size_ = static_cast<std::uint32_t>(rows.size());
}

void Batch::release_payload() noexcept {
    base_ = nullptr;
    base_bytes_ = 0;
    lease_.reset();
}

void Batch::release() noexcept {
    release_payload();
    size_ = 0;
    extras_ = 0;
    annotations_.clear();
}

} // namespace wirepath
