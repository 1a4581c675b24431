// SPDX-License-Identifier: Apache-2.0
#include "filter/cooked.hpp"

#include <linux/filter.h>

namespace wirepath {
namespace {

constexpr std::uint32_t header_bytes = 20;
constexpr std::uint32_t ancillary = static_cast<std::uint32_t>(SKF_AD_OFF);

struct Field {
    std::uint32_t offset;
    std::uint16_t size; // BPF_W, BPF_H, BPF_B
    std::uint32_t metadata;
};
constexpr Field fields[] = {
    {0, BPF_H, SKF_AD_PROTOCOL}, {4, BPF_W, SKF_AD_IFINDEX}, {8, BPF_H, SKF_AD_HATYPE}, {10, BPF_B, SKF_AD_PKTTYPE}};

bool translate_absolute(Instruction& i) {
    if (i.k >= ancillary)
        return true;
    if (i.k >= header_bytes) {
        i.k -= header_bytes;
        return true;
    }
    for (const Field& field : fields)
        if (field.offset == i.k && field.size == BPF_SIZE(i.code)) {
            i = {BPF_LD | BPF_W | BPF_ABS, i.jt, i.jf, ancillary + field.metadata};
            return true;
        }
    return false;
}

bool translate_relative(Instruction& i) {
    if (i.k < header_bytes)
        return false;
    i.k -= header_bytes;
    return true;
}

bool translate(Instruction& i) {
    const bool loads = BPF_CLASS(i.code) == BPF_LD || BPF_CLASS(i.code) == BPF_LDX;
    if (!loads)
        return true;
    switch (BPF_MODE(i.code)) {
    case BPF_ABS:
        return translate_absolute(i);
    case BPF_IND:
    case BPF_MSH:
        return translate_relative(i);
    case BPF_LEN:
        return false;
    default:
        return true;
    }
}

} // namespace

std::optional<std::vector<Instruction>> without_cooked_header(std::span<const Instruction> program) {
    std::vector<Instruction> translated(program.begin(), program.end());
    for (Instruction& instruction : translated)
        if (!translate(instruction))
            return std::nullopt;
    return translated;
}

} // namespace wirepath
