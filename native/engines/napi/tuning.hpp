// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engines/napi/effect.hpp"
#include "engines/napi/settings.hpp"
#include "linux/fork_guard.hpp"
#include "linux/holder.hpp"
#include "linux/host_changes.hpp"
#include "linux/keeper.hpp"
#include "linux/net_settings.hpp"

namespace wirepath::napi {

// What the sources of one capture share: how the interface polls while they run. In force from when the last of them
// has started until the first of them stops.
class Tuning {
  public:
    // In the interface's network namespace. Throws Error.
    Tuning(const NetDevice& device, const Settings& settings);
    ~Tuning() { stopped(); }

    // Before start(): a source, and where it tells what was granted.
    void expect(Info& info) { waiting_.push_back(&info); }
    void started(); // in the interface's network namespace; throws Error
    void stopped() noexcept;
    std::vector<Observed> observed();

  private:
    void apply();
    std::vector<Wish> wishes();
    void wish(std::vector<Wish>& into, const char* name, std::optional<std::uint64_t> value,
              std::optional<std::uint64_t> NapiInstance::* told);
    void grant(const char* option, const char* name, std::optional<std::uint64_t> value);
    std::string granted(const char* name) const;
    void keep();
    void describe();
    bool changed() const;

    NetDevice device_;
    Settings settings_;
    NetSettings access_;
    Holder holder_ = Holder::mine();
    ForkGuard fork_guard_;
    std::vector<NapiInstance> napis_;
    std::vector<Change> changes_;
    std::optional<Effect> effect_;
    std::unique_ptr<Keeper> keeper_;
    std::string refused_; // why nothing could be set
    Info told_;           // granted and notes only

    std::mutex stopping_;
    std::vector<Info*> waiting_;
    std::size_t started_ = 0;
    bool in_force_ = false;
};

} // namespace wirepath::napi
