// SPDX-License-Identifier: Apache-2.0
// What both readers' fuzzers do: the input comes in pieces, each in memory of its exact size so that a byte read beyond
// it is seen; every row and annotation is looked at, and written again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "files/bytes.hpp"
#include "files/format.hpp"
#include "files/pcapng_encoder.hpp"

namespace wirepath::files {

inline std::uint64_t look_at(const Batch& batch) {
    std::uint64_t sum = 0;
    for (std::uint32_t row = 0; row < batch.size(); ++row)
        for (const std::byte byte : batch.data(row))
            sum += std::to_integer<std::uint64_t>(byte);
    for (const Annotation& item : batch.annotations().items())
        for (const std::byte byte : batch.annotations().bytes_of(item))
            sum += std::to_integer<std::uint64_t>(byte);
    return sum;
}

// The first byte: how large the pieces are, and whether what stands before the first packet is read apart.
inline void read_in_pieces(std::span<const std::byte> input, std::uint32_t magic) {
    if (input.size() < 5)
        return;
    const auto how = std::to_integer<unsigned>(input[0]);
    input = input.subspan(1);
    FormatSettings settings;
    settings.interfaces = std::make_shared<InterfaceTable>();
    settings.keep_bytes = (how & 0x40) != 0 ? 48 : UINT32_MAX;
    std::unique_ptr<Format> format;
    try {
        format = recognise(input.data(), settings);
    } catch (const Error&) {
        std::vector<std::byte> whole(input.begin(),
                                     input.end()); // let the reader that is meant have a look at the rest
        store(whole.data(), magic);
        format = recognise(whole.data(), settings);
    }
    PcapngEncoder encoder(settings.interfaces, {}, (how & 0x20) != 0);
    Output output("/dev/null", Compression::none, 0);
    encoder.begin(output);
    Batch batch(7);
    Until until = (how & 0x80) != 0 ? Until::first_packet : Until::batch_full;
    std::size_t begin = 0, wanted = format_magic_bytes;
    volatile std::uint64_t sum = 0;
    for (Step step = Step::need_more; step != Step::bad;) {
        const std::size_t size = std::min(input.size() - begin, std::max<std::size_t>(wanted, 1 + (how & 0x1f) * 16));
        if (size < wanted)
            break;
        const auto piece = std::make_unique<std::byte[]>(size);
        std::copy_n(input.data() + begin, size, piece.get());
        Chunk chunk{piece.get(), size, 0, begin};
        batch.begin(piece.get(), size, Lease());
        step = format->read(chunk, batch, until);
        sum = sum + look_at(batch);
        encoder.write(batch, {0, batch.size()}, {}, output);
        begin += chunk.used;
        wanted = step == Step::need_more ? format->needed() : 1;
        if (step == Step::packet)
            until = Until::batch_full;
    }
    encoder.end(output, std::vector<std::optional<Stats>>(settings.interfaces->size() != 0 ? 1 : 0, Stats{}));
}

} // namespace wirepath::files
