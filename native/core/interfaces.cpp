// SPDX-License-Identifier: Apache-2.0
#include "core/interfaces.hpp"

#include <limits>

#include "core/error.hpp"

namespace wirepath {

std::uint16_t InterfaceTable::add(Interface interface) {
    const std::lock_guard lock(mutex_);
    if (items_.size() > std::numeric_limits<std::uint16_t>::max())
        throw Error(Code::bad_file, "more than 65536 interfaces in one capture");
    items_.push_back(std::move(interface));
    size_.store(items_.size(), std::memory_order_release);
    return static_cast<std::uint16_t>(items_.size() - 1);
}

void InterfaceTable::set_filter(std::size_t index, const std::string& text) {
    const std::lock_guard lock(mutex_);
    items_.at(index).filter = text;
}

const Interface& InterfaceTable::operator[](std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return items_.at(index);
}

} // namespace wirepath
