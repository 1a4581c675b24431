// SPDX-License-Identifier: Apache-2.0
// What captures change on the host and must put back. A small file, /run/wirepath/changes, has for each setting what it
// was and who wants what of it, so that several captures may change one setting at once, and so that a capture finds
// what one that was killed has left. /run is emptied when the host starts anew, as are the settings.
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "linux/holder.hpp"

namespace wirepath {

// Something on this host that has a value.
struct HostSetting {
    std::string scope; // in which it means something: "net/4711", a network namespace, or "host"
    std::string place; // "if/3", "if/3/napi/8193", "pci/0000:00:03.0"
    std::string name;  // "gro_flush_timeout"

    auto operator<=>(const HostSetting&) const = default;
};

// How the settings of one scope are read and written.
class SettingAccess {
  public:
    SettingAccess() = default;
    SettingAccess(const SettingAccess&) = delete;
    virtual ~SettingAccess() = default;
    virtual const std::string& scope() const noexcept = 0;
    // Nothing: it is not there (any more).
    virtual std::optional<std::string> read(const HostSetting& setting) = 0;
    virtual int write(const HostSetting& setting, const std::string& value) = 0; // 0 or the errno
};

struct Wish {
    HostSetting setting;
    std::string value;
};

// What became of a wish.
struct Change {
    HostSetting setting;
    std::string before;
    std::string after; // read back
    int err = 0;       // why it is as it was
};

class HostChanges {
  public:
    explicit HostChanges(std::string directory = "/run/wirepath") : directory_(std::move(directory)) {}
    static bool any() noexcept; // whether somebody has changed something: almost always not, and quickly known

    // Of what several want, the last one's counts. It is written down before it is done. Throws Error: the file cannot
    // be written, and nothing was changed.
    std::vector<Change> make(const Holder& holder, const std::vector<Wish>& wishes, SettingAccess& access);
    // The holder wants nothing any more: what the one before it wanted comes back, or what was there before anybody. A
    // setting that somebody else has changed meanwhile is left alone. Throws Error.
    void take_back(const Holder& holder, SettingAccess& access);
    // take_back() for every holder of this scope that has ended. How many settings were put back. Throws Error.
    std::size_t heal(SettingAccess& access);
    // Those of this scope whose holders have all ended. Throws Error.
    std::vector<HostSetting> left_behind(const std::string& scope) const;

  private:
    struct Wanted {
        Holder holder;
        std::string value;
    };
    struct Record {
        HostSetting setting;
        std::string original;
        std::vector<Wanted> wanted; // the last one's is in force
    };
    using Records = std::vector<Record>;
    using Gone = std::function<bool(const Holder&)>;

    std::string path() const { return directory_ + "/changes"; }
    Records load() const;
    void save(const Records& records) const;
    static std::size_t release(Records& records, SettingAccess& access, const Gone& gone);
    static bool release_one(Record& record, SettingAccess& access, const Gone& gone);
    static bool add(Records& records, const Holder& holder, const Wish& wish, SettingAccess& access, Change& change);

    std::string directory_;
};

} // namespace wirepath
