// SPDX-License-Identifier: Apache-2.0
#include "files/pcapng_format.hpp"
#include "read_format.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    wirepath::files::read_in_pieces(std::as_bytes(std::span(data, size)), wirepath::files::pcapng::section_header);
    return 0;
}
