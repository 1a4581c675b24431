// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

namespace wirepath {

// How the files of a capture that rotates are called.
struct FileNaming {
    enum class Style : std::uint8_t {
        tcpdump, // NAME, NAME1, NAME2, …; in a ring of n: NAME0 to NAMEn-1, as wide as the last; strftime(3) where
                 // timed
        dumpcap, // NAME_00001_20261123120000.pcapng: number and local time before the extension
    };
    Style style = Style::tcpdump;
    bool timed = false;     // by time: % in the name is expanded (tcpdump)
    bool numbered = false;  // by size or packets: a number (tcpdump)
    std::uint32_t ring = 0; // files that are kept, 0: all
};

class FileNames {
  public:
    FileNames(std::string base, FileNaming naming) : base_(std::move(base)), naming_(naming) {}

    // The next file's name, as of `now`. by_time: its turn has come because of the time.
    std::string next(std::time_t now, bool by_time);

  private:
    std::string tcpdump_name(std::time_t now, bool by_time);
    std::string dumpcap_name(std::time_t now);

    std::string base_;
    FileNaming naming_;
    bool begun_ = false;
    std::uint64_t number_ = 0;
};

// Where a name's extension begins: behind it are .gz and .zst, too.
std::size_t extension_of(const std::string& path);

} // namespace wirepath
