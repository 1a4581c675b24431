// SPDX-License-Identifier: Apache-2.0
#include "engines/napi/tuning.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

namespace wirepath::napi {
namespace {

constexpr const char* defer_file = "napi_defer_hard_irqs";
constexpr const char* flush_file = "gro_flush_timeout";
constexpr const char* threaded_file = "threaded";

std::string why(int err) {
    switch (err) {
    case EPERM:
    case EACCES:
        return "this takes CAP_NET_ADMIN, and root's right to write in /sys: run with sudo";
    case ENOENT:
        return "this kernel has no such setting of it";
    case ERANGE:
    case EINVAL:
    case EOPNOTSUPP:
        return std::string("the kernel or the driver does not take it: ") + std::strerror(err);
    default:
        return std::strerror(err);
    }
}

std::string in_words(const char* name, const std::string& value) {
    static constexpr const char* threaded[] = {"off", "on", "busy_poll"};
    if (std::strcmp(name, threaded_file) == 0 && value.size() == 1 && value[0] >= '0' && value[0] <= '2')
        return threaded[value[0] - '0'];
    return value;
}

} // namespace

Tuning::Tuning(const NetDevice& device, const Settings& settings) : device_(device), settings_(settings) {
    if (settings.measure)
        effect_.emplace(device_, access_);
}

void Tuning::started() {
    if (++started_ != waiting_.size())
        return;
    if (effect_ && settings_.baseline.count() != 0)
        effect_->measure_before(settings_.baseline);
    napis_ = access_.napis(device_.ifindex);
    apply();
    in_force_ = true;
    if (effect_)
        effect_->begin();
    describe();
}

// Of each instance where the kernel can set them one by one, else of the interface as a whole.
void Tuning::wish(std::vector<Wish>& into, const char* name, std::optional<std::uint64_t> value,
                  std::optional<std::uint64_t> NapiInstance::* told) {
    if (!value)
        return;
    const std::string text = std::to_string(*value);
    const std::size_t before = into.size();
    for (const NapiInstance& napi : napis_)
        if (napi.*told)
            into.push_back({access_.of_napi(device_.ifindex, napi.id, name), text});
    if (into.size() == before)
        into.push_back({access_.of_interface(device_.ifindex, name), text});
}

std::vector<Wish> Tuning::wishes() {
    std::vector<Wish> all;
    wish(all, flush_file, settings_.knobs.gro_flush_timeout_ns, &NapiInstance::gro_flush_timeout_ns);
    wish(all, defer_file, settings_.knobs.defer_hard_irqs, &NapiInstance::defer_hard_irqs);
    wish(all, threaded_file, settings_.knobs.threaded, &NapiInstance::threaded);
    return all;
}

void Tuning::apply() {
    // A thread that never sleeps takes a CPU for each instance; not all of them by a preset.
    if (settings_.knobs.threaded == threaded_busy_poll && !settings_.threaded_asked &&
        std::thread::hardware_concurrency() <= napis_.size()) {
        settings_.knobs.threaded.reset();
        told_.notes.push_back("polling threads that never sleep would take all CPUs: there are " +
                              std::to_string(napis_.size()) + " NAPI instances (threaded=busy_poll asks for them)");
    }
    try {
        changes_ = HostChanges().make(holder_, wishes(), access_);
    } catch (const Error& error) {
        refused_ = error.what();
    }
    if (changed())
        keep();
}

bool Tuning::changed() const {
    return std::any_of(changes_.begin(), changes_.end(), [](const Change& change) { return change.err == 0; });
}

void Tuning::keep() {
    keeper_ = std::make_unique<Keeper>(holder_);
    if (!keeper_->runs())
        told_.notes.push_back("the process that would put the settings back if this one cannot does not run (" +
                              keeper_->why_not() + "): then the next run will");
}

std::string Tuning::granted(const char* name) const {
    std::size_t set = 0, instances = 0;
    std::string value, failure;
    for (const Change& change : changes_) {
        if (change.setting.name != name)
            continue;
        instances += change.setting.place.find("/napi/") != std::string::npos ? 1 : 0;
        if (change.err == 0)
            ++set, value = change.after;
        else
            failure = why(change.err);
    }
    if (set == 0)
        return "refused: " + (refused_.empty() ? failure : refused_);
    return in_words(name, value) +
           (instances == 0 ? " (the interface as a whole)"
                           : " (" + std::to_string(set) + " of " + std::to_string(napis_.size()) + " NAPI instances)");
}

void Tuning::grant(const char* option, const char* name, std::optional<std::uint64_t> value) {
    if (value)
        told_.granted.push_back({option, in_words(name, std::to_string(*value)), granted(name)});
}

void Tuning::describe() {
    grant("gro_flush_timeout_ns", flush_file, settings_.knobs.gro_flush_timeout_ns);
    grant("defer_hard_irqs", defer_file, settings_.knobs.defer_hard_irqs);
    grant("threaded", threaded_file, settings_.knobs.threaded);
    if (!refused_.empty())
        told_.notes.push_back("nothing of the NIC's polling could be set: " + refused_);
    else if (changed())
        told_.notes.push_back("how " + device_.name +
                              " interrupts and polls is changed for all of this host while this "
                              "runs (poll=" +
                              settings_.poll + "), and put back after it");
    for (Info* info : waiting_)
        info->granted.insert(info->granted.end(), told_.granted.begin(), told_.granted.end());
    Info& first = *waiting_.front(); // notes are the capture's, and said once
    first.notes.insert(first.notes.end(), told_.notes.begin(), told_.notes.end());
}

void Tuning::stopped() noexcept {
    const std::lock_guard lock(stopping_);
    if (!std::exchange(in_force_, false) || fork_guard_.in_child())
        return;
    if (effect_)
        effect_->finish();
    if (!changed() || (keeper_ && keeper_->put_back()))
        return;
    try {
        HostChanges().take_back(holder_, access_);
    } catch (const std::exception&) {
        return; // the next run finds it in the file
    }
}

std::vector<Observed> Tuning::observed() { return effect_ ? effect_->observed() : std::vector<Observed>{}; }

} // namespace wirepath::napi
