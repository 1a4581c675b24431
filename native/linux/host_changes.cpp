// SPDX-License-Identifier: Apache-2.0
#include "linux/host_changes.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.hpp"
#include "linux/fd.hpp"

namespace wirepath {
namespace {

// Words of a line, "" as "-": no value has a blank in it.
std::string word(const std::string& text) { return text.empty() ? "-" : text; }
std::string text_of(const std::string& word) { return word == "-" ? "" : word; }

Fd lock(const std::string& directory) {
    const std::string path = directory + "/lock";
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
        throw Error::from_errno("making " + directory, errno, "Only root may: run with sudo");
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    while (file && ::flock(file.get(), LOCK_EX) != 0)
        if (errno != EINTR)
            file.reset();
    if (!file)
        throw Error::from_errno("locking " + path, errno, "Only root may: run with sudo");
    return file;
}

} // namespace

bool HostChanges::any() noexcept { return ::access("/run/wirepath/changes", F_OK) == 0; }

// setting SCOPE PLACE NAME ORIGINAL, and after it each that wants something: holder PID:… VALUE
HostChanges::Records HostChanges::load() const {
    Records records;
    std::ifstream file(path());
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string kind, one, two, three, four;
        words >> kind >> one >> two >> three >> four;
        if (kind == "setting") {
            records.push_back({{one, two, three}, text_of(four), {}});
        } else if (const auto holder = Holder::from(one); kind == "holder" && holder && !records.empty()) {
            records.back().wanted.push_back({*holder, text_of(two)});
        }
    }
    return records;
}

void HostChanges::save(const Records& records) const {
    if (records.empty()) {
        ::unlink(path().c_str());
        return;
    }
    const std::string fresh = path() + ".new";
    std::ofstream file(fresh, std::ios::trunc);
    file << "wirepath 1: what captures have changed and will put back\n";
    for (const Record& record : records) {
        file << "setting " << record.setting.scope << ' ' << record.setting.place << ' ' << record.setting.name << ' '
             << word(record.original) << '\n';
        for (const Wanted& one : record.wanted)
            file << "holder " << one.holder.text() << ' ' << word(one.value) << '\n';
    }
    file.close();
    if (!file || std::rename(fresh.c_str(), path().c_str()) != 0)
        throw Error::from_errno("writing " + path(), errno);
}

bool HostChanges::add(Records& records, const Holder& holder, const Wish& wish, SettingAccess& access, Change& change) {
    const auto now = access.read(wish.setting);
    if (!now) {
        change.err = ENOENT;
        return false;
    }
    change.before = *now;
    auto at = std::find_if(records.begin(), records.end(), [&](const Record& r) { return r.setting == wish.setting; });
    if (at == records.end())
        at = records.insert(at, {wish.setting, *now, {}});
    std::erase_if(at->wanted, [&](const Wanted& one) { return one.holder == holder; });
    at->wanted.push_back({holder, wish.value});
    return true;
}

std::vector<Change> HostChanges::make(const Holder& holder, const std::vector<Wish>& wishes, SettingAccess& access) {
    const Fd locked = lock(directory_);
    Records records = load();
    release(records, access, [](const Holder& one) { return !one.alive(); });
    std::vector<Change> changes;
    for (const Wish& wish : wishes) {
        changes.push_back({wish.setting, {}, {}, 0});
        add(records, holder, wish, access, changes.back());
    }
    save(records);
    for (std::size_t i = 0; i < wishes.size(); ++i) {
        Change& change = changes[i];
        if (change.err == 0)
            change.err = access.write(wishes[i].setting, wishes[i].value);
        change.after = access.read(wishes[i].setting).value_or("");
    }
    const auto refused = [&](const HostSetting& setting) {
        return std::any_of(changes.begin(), changes.end(),
                           [&](const Change& change) { return change.err != 0 && change.setting == setting; });
    };
    for (Record& record : records)
        if (refused(record.setting))
            std::erase_if(record.wanted, [&](const Wanted& one) { return one.holder == holder; });
    std::erase_if(records, [](const Record& record) { return record.wanted.empty(); });
    save(records);
    return changes;
}

// False: it could not be put back, and somebody with more rights is to try again.
bool HostChanges::release_one(Record& record, SettingAccess& access, const Gone& gone) {
    std::vector<Wanted> left = record.wanted;
    std::erase_if(left, [&](const Wanted& one) { return gone(one.holder); });
    const std::string in_force = record.wanted.back().value, next = left.empty() ? record.original : left.back().value;
    if (in_force != next && access.read(record.setting) == in_force && access.write(record.setting, next) != 0)
        return false;
    record.wanted = std::move(left);
    return true;
}

std::size_t HostChanges::release(Records& records, SettingAccess& access, const Gone& gone) {
    std::size_t released = 0;
    for (Record& record : records) {
        const auto is_gone = [&](const Wanted& one) { return gone(one.holder); };
        if (record.setting.scope != access.scope() || std::none_of(record.wanted.begin(), record.wanted.end(), is_gone))
            continue;
        released += release_one(record, access, gone) ? 1 : 0;
    }
    std::erase_if(records, [](const Record& record) { return record.wanted.empty(); });
    return released;
}

void HostChanges::take_back(const Holder& holder, SettingAccess& access) {
    const Fd locked = lock(directory_);
    Records records = load();
    release(records, access, [&](const Holder& one) { return one == holder; });
    save(records);
}

std::size_t HostChanges::heal(SettingAccess& access) {
    const auto ended = [](const Wanted& one) { return !one.holder.alive(); };
    const auto concerned = [&](const Record& record) {
        return record.setting.scope == access.scope() && std::any_of(record.wanted.begin(), record.wanted.end(), ended);
    };
    Records records = load();
    if (std::none_of(records.begin(), records.end(), concerned)) // almost always, and it needs no right to be seen
        return 0;
    const Fd locked = lock(directory_);
    records = load();
    const std::size_t released = release(records, access, [](const Holder& one) { return !one.alive(); });
    save(records);
    return released;
}

std::vector<HostSetting> HostChanges::left_behind(const std::string& scope) const {
    std::vector<HostSetting> found;
    for (const Record& record : load())
        if (record.setting.scope == scope && std::none_of(record.wanted.begin(), record.wanted.end(),
                                                          [](const Wanted& one) { return one.holder.alive(); }))
            found.push_back(record.setting);
    return found;
}

} // namespace wirepath
