// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <zlib.h>
#include <zstd.h>

#include "files/bytes.hpp"
#include "files/input.hpp"

namespace wirepath::files {
namespace {

constexpr int gzip_window = 15 + 16; // the largest window, and a gzip header
constexpr std::uint32_t zstd_magic = 0xfd2fb528;
constexpr std::uint32_t zstd_skippable_magic = 0x184d2a50, zstd_skippable_mask = 0xfffffff0;

template <typename T>
void take(std::span<T>& span, std::size_t count) noexcept {
    span = span.subspan(count);
}

class Gunzip final : public Decompressor {
  public:
    Gunzip() {
        if (::inflateInit2(&stream_, gzip_window) != Z_OK)
            throw Error(Code::system, "starting zlib", ENOMEM);
    }
    ~Gunzip() override { ::inflateEnd(&stream_); }

    void run(std::span<const std::byte>& from, std::span<std::byte>& to) override {
        // Also with nothing in: there may be more to come of what was read before.
        do {
            if (between_ && !begin_member(from))
                return;
            step(from, to);
        } while (!from.empty() && !to.empty());
    }
    bool complete() const noexcept override { return between_; }
    std::string_view name() const noexcept override { return "gzip"; }

  private:
    // A gzip file may be several ones in a row, with zeros as padding behind the last.
    bool begin_member(std::span<const std::byte>& from) {
        const auto begin = std::find_if(from.begin(), from.end(), [](std::byte b) { return b != std::byte{0}; });
        if (members_ != 0)
            take(from, static_cast<std::size_t>(begin - from.begin()));
        if (from.empty())
            return false;
        if (members_ != 0 && from[0] != std::byte{0x1f})
            throw Error(Code::bad_file,
                        "after " + std::to_string(members_) + " gzip members: what follows is not compressed by gzip");
        ::inflateReset(&stream_);
        between_ = false;
        return true;
    }

    void step(std::span<const std::byte>& from, std::span<std::byte>& to) {
        constexpr std::size_t most = 1 << 30; // zlib counts in unsigned int
        const auto in = static_cast<uInt>(std::min(from.size(), most));
        const auto out = static_cast<uInt>(std::min(to.size(), most));
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(from.data()));
        stream_.avail_in = in;
        stream_.next_out = reinterpret_cast<Bytef*>(to.data());
        stream_.avail_out = out;
        const int result = ::inflate(&stream_, Z_NO_FLUSH);
        take(from, in - stream_.avail_in);
        take(to, out - stream_.avail_out);
        if (result == Z_STREAM_END) {
            between_ = true;
            ++members_;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            throw Error(Code::bad_file,
                        std::string("gzip: ") + (stream_.msg != nullptr ? stream_.msg : "damaged data"));
        }
    }

    z_stream stream_ = {};
    std::uint64_t members_ = 0;
    bool between_ = true;
};

class Unzstd final : public Decompressor {
  public:
    Unzstd() : stream_(::ZSTD_createDStream()) {
        if (!stream_)
            throw Error(Code::system, "starting zstd", ENOMEM);
    }

    void run(std::span<const std::byte>& from, std::span<std::byte>& to) override {
        ZSTD_inBuffer in = {from.data(), from.size(), 0};
        ZSTD_outBuffer out = {to.data(), to.size(), 0};
        // Also with nothing in: there may be more to come of what was read before.
        do {
            const std::size_t before = in.pos + out.pos;
            const std::size_t result = ::ZSTD_decompressStream(stream_.get(), &out, &in);
            if (::ZSTD_isError(result) != 0)
                throw Error(Code::bad_file, std::string("zstd: ") + ::ZSTD_getErrorName(result));
            if (in.pos + out.pos != before || in.size != 0)
                complete_ = result == 0;
        } while (in.pos < in.size && out.pos < out.size);
        take(from, in.pos);
        take(to, out.pos);
    }
    bool complete() const noexcept override { return complete_; }
    std::string_view name() const noexcept override { return "zstd"; }

  private:
    struct Free {
        void operator()(ZSTD_DStream* stream) const noexcept { ::ZSTD_freeDStream(stream); }
    };
    std::unique_ptr<ZSTD_DStream, Free> stream_;
    bool complete_ = true;
};

} // namespace

std::unique_ptr<Decompressor> decompressor_for(std::span<const std::byte> start) {
    if (start.size() >= 2 && start[0] == std::byte{0x1f} && start[1] == std::byte{0x8b})
        return std::make_unique<Gunzip>();
    if (start.size() < 4)
        return nullptr;
    const auto magic = load<std::uint32_t>(start.data());
    if (magic == zstd_magic || (magic & zstd_skippable_mask) == zstd_skippable_magic)
        return std::make_unique<Unzstd>();
    return nullptr;
}

} // namespace wirepath::files
