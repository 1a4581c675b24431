// SPDX-License-Identifier: Apache-2.0
#include "sinks/file_names.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace wirepath {
namespace {

std::string formatted(const std::string& format, std::time_t now) {
    std::tm local = {};
    ::localtime_r(&now, &local);
    std::array<char, 4096> text; // PATH_MAX
    const std::size_t length = std::strftime(text.data(), text.size(), format.c_str(), &local);
    return length != 0 ? std::string(text.data(), length) : format;
}

std::string padded(std::uint64_t number, std::size_t width) {
    const std::string digits = std::to_string(number);
    return std::string(width - std::min(width, digits.size()), '0') + digits;
}

} // namespace

std::size_t extension_of(const std::string& path) {
    const std::size_t name = path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1;
    const auto dot_before = [&](std::size_t end) {
        const std::size_t dot = end > name ? path.rfind('.', end - 1) : std::string::npos;
        return dot == std::string::npos || dot <= name ? path.size() : dot;
    };
    const std::size_t last = dot_before(path.size());
    if (path.compare(last, std::string::npos, ".gz") != 0 && path.compare(last, std::string::npos, ".zst") != 0)
        return last;
    const std::size_t before = dot_before(last);
    return before == path.size() ? last : before;
}

std::string FileNames::next(std::time_t now, bool by_time) {
    std::string name = naming_.style == FileNaming::Style::tcpdump ? tcpdump_name(now, by_time) : dumpcap_name(now);
    begun_ = true;
    return name;
}

std::string FileNames::tcpdump_name(std::time_t now, bool by_time) {
    std::string name = naming_.timed ? formatted(base_, now) : base_;
    if (!naming_.numbered)
        return name;
    if (begun_)
        number_ = by_time ? 0 : number_ + 1;
    if (naming_.ring == 0)
        return number_ == 0 ? name : name + std::to_string(number_);
    number_ %= naming_.ring;
    return name + padded(number_, std::to_string(naming_.ring - 1).size());
}

std::string FileNames::dumpcap_name(std::time_t now) {
    const std::size_t extension = extension_of(base_);
    return base_.substr(0, extension) + "_" + padded(++number_, 5) + "_" + formatted("%Y%m%d%H%M%S", now) +
           base_.substr(extension);
}

} // namespace wirepath
