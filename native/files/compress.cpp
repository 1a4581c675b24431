// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <zlib.h>
#include <zstd.h>

#include "files/output.hpp"

namespace wirepath::files {
namespace {

constexpr int gzip_window = 15 + 16; // the largest window, and a gzip header
constexpr int gzip_memory = 8;

class Gzip final : public Compressor {
  public:
    explicit Gzip(int level) {
        if (::deflateInit2(&stream_, level == 0 ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED, gzip_window, gzip_memory,
                           Z_DEFAULT_STRATEGY) != Z_OK)
            throw Error(Code::system, "starting zlib", ENOMEM);
    }
    ~Gzip() override { ::deflateEnd(&stream_); }

    void run(std::span<const std::byte> from, Mode mode, std::vector<std::byte>& to) override {
        const int flush = mode == Mode::flush ? Z_SYNC_FLUSH : Z_FINISH;
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(from.data()));
        stream_.avail_in = static_cast<uInt>(from.size()); // a record is no larger than Format::max_record
        do {
            constexpr std::size_t step = 64 * 1024;
            const std::size_t used = to.size();
            to.resize(used + step);
            stream_.next_out = reinterpret_cast<Bytef*>(to.data() + used);
            stream_.avail_out = step;
            ::deflate(&stream_, flush);
            to.resize(used + step - stream_.avail_out);
        } while (stream_.avail_out == 0);
        if (mode == Mode::finish)
            ::deflateReset(&stream_);
    }

  private:
    z_stream stream_ = {};
};

class Zstd final : public Compressor {
  public:
    explicit Zstd(int level) : stream_(::ZSTD_createCCtx()) {
        if (!stream_)
            throw Error(Code::system, "starting zstd", ENOMEM);
        ::ZSTD_CCtx_setParameter(stream_.get(), ZSTD_c_compressionLevel, level); // 0: zstd's usual one
        ::ZSTD_CCtx_setParameter(stream_.get(), ZSTD_c_checksumFlag, 1);
    }

    void run(std::span<const std::byte> from, Mode mode, std::vector<std::byte>& to) override {
        const ZSTD_EndDirective directive = mode == Mode::flush ? ZSTD_e_flush : ZSTD_e_end;
        ZSTD_inBuffer in = {from.data(), from.size(), 0};
        for (std::size_t left = 1; left != 0 || in.pos < in.size;) {
            const std::size_t used = to.size(), step = ::ZSTD_CStreamOutSize();
            to.resize(used + step);
            ZSTD_outBuffer out = {to.data() + used, step, 0};
            left = ::ZSTD_compressStream2(stream_.get(), &out, &in, directive);
            if (::ZSTD_isError(left) != 0)
                throw Error(Code::system, std::string("zstd: ") + ::ZSTD_getErrorName(left));
            to.resize(used + out.pos);
        }
    }

  private:
    struct Free {
        void operator()(ZSTD_CCtx* stream) const noexcept { ::ZSTD_freeCCtx(stream); }
    };
    std::unique_ptr<ZSTD_CCtx, Free> stream_;
};

} // namespace

std::unique_ptr<Compressor> compressor_for(Compression compression, int level) {
    const int most = compression == Compression::gzip ? 9 : ::ZSTD_maxCLevel();
    if (compression != Compression::none && (level < 0 || level > most))
        throw Error(Code::bad_option, "the compression level cannot be " + std::to_string(level), 0,
                    "It takes 1 to " + std::to_string(most) + ", or 0 for the usual one");
    switch (compression) {
    case Compression::gzip:
        return std::make_unique<Gzip>(level);
    case Compression::zstd:
        return std::make_unique<Zstd>(level);
    case Compression::none:
        break;
    }
    return nullptr;
}

} // namespace wirepath::files
