// SPDX-License-Identifier: Apache-2.0
// Text, appended piece by piece to one buffer that is reused from line to line. It grows when a line needs it, so that
// in the long run nothing is allocated.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace wirepath {

class Text {
  public:
    explicit Text(std::size_t capacity = 4096); // throws std::bad_alloc

    void put(char c) noexcept {
        if (make_room(1))
            *at_++ = c;
    }
    void put(std::string_view text) noexcept {
        if (make_room(text.size())) // an empty view may point nowhere, which memcpy must not be given
            at_ += text.empty() ? 0 : (std::memcpy(at_, text.data(), text.size()), text.size());
    }
    void decimal(std::uint64_t value) noexcept;
    void decimal(std::uint64_t value, unsigned width, char fill) noexcept; // at least that wide
    void hex(std::uint64_t value) noexcept;
    void hex(std::uint64_t value, unsigned digits) noexcept; // exactly that many
    void hex_bytes(const std::uint8_t* bytes, std::size_t count) noexcept;
    void ipv4(const std::uint8_t* address) noexcept; // 4 bytes
    void ipv6(const std::uint8_t* address) noexcept; // 16 bytes
    void mac(const std::uint8_t* address, std::size_t count = 6) noexcept;
    // Bytes that come from a packet: control characters as ^X, those over 127 as M-x.
    void visible(const std::uint8_t* bytes, std::size_t count) noexcept;

    // put("seq ", 5, ", ack ", 7): numbers in decimal.
    template <typename First, typename Second, typename... More>
    void put(First first, Second second, More... more) noexcept {
        one(first);
        one(second);
        (one(more), ...);
    }

    // While it is muted, nothing is added.
    void mute() noexcept {
        muted_ = true;
        limit_ = at_;
    }
    void unmute() noexcept {
        muted_ = false;
        limit_ = end_;
    }

    std::string_view view() const noexcept { return {begin_.get(), size()}; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - begin_.get()); }
    void clear() noexcept { at_ = begin_.get(); }
    void resize(std::size_t size) noexcept { at_ = begin_.get() + size; } // to what was there
    bool out_of_memory() const noexcept { return out_of_memory_; }

  private:
    void one(std::string_view text) noexcept { put(text); }
    void one(const char* text) noexcept { put(std::string_view(text)); }
    void one(char c) noexcept { put(c); }
    void one(std::unsigned_integral auto value) noexcept { decimal(value); }

    bool make_room(std::size_t bytes) noexcept {
        return static_cast<std::size_t>(limit_ - at_) >= bytes || grow(bytes);
    }
    bool grow(std::size_t bytes) noexcept;

    std::unique_ptr<char[]> begin_;
    char *at_, *end_, *limit_;
    bool muted_ = false, out_of_memory_ = false;
};

} // namespace wirepath
