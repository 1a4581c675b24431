// SPDX-License-Identifier: Apache-2.0
#include "filter/verify.hpp"

#include "core/error.hpp"
#include "files/reader.hpp"
#include "filter/judge.hpp"

namespace wirepath {
namespace {

constexpr std::uint32_t longest_packet = 262144;

// The machines with the filter as it is for one linktype.
struct Bench {
    std::shared_ptr<const Filter> filter;
    std::vector<std::unique_ptr<Judge>> judges; // nullptr: it cannot be asked
};

class Verifier {
  public:
    explicit Verifier(const std::string& text) : text_(text) {
        for (const JudgeKind& kind : judge_kinds())
            result_.machines.push_back({std::string(kind.name), std::string(kind.what), {}, 0, 0, {}});
    }

    void look_at(const Batch& batch, const InterfaceTable& interfaces) {
        for (std::uint32_t row = 0; row < batch.size(); ++row) {
            const Packet packet = batch[row];
            look_at(packet, interfaces[packet.interface].linktype);
        }
    }
    Verification done() && { return std::move(result_); }

  private:
    Bench make_bench(std::uint32_t linktype) {
        Bench bench{Filter::compile(text_, linktype, longest_packet), {}};
        for (std::size_t i = 0; i < judge_kinds().size(); ++i) {
            bench.judges.push_back(nullptr);
            try {
                bench.judges[i] = judge_kinds()[i].make(*bench.filter);
            } catch (const Error& error) {
                result_.machines[i].unusable = error.what();
            }
        }
        return bench;
    }

    const Bench& bench_for(std::uint32_t linktype) {
        const auto found = benches_.find(linktype);
        return found != benches_.end() ? found->second : benches_.emplace(linktype, make_bench(linktype)).first->second;
    }

    void look_at(const Packet& packet, std::uint32_t linktype) {
        ++result_.packets;
        const Bench& bench = bench_for(linktype);
        matched_.clear();
        rejected_.clear();
        for (std::size_t i = 0; i < bench.judges.size(); ++i)
            if (bench.judges[i] != nullptr)
                ask(result_.machines[i], *bench.judges[i], packet);
        if (matched_.empty() || rejected_.empty())
            return;
        if (result_.differing++ == 0)
            result_.first = {result_.packets,
                             packet.ts,
                             static_cast<std::uint32_t>(packet.data.size()),
                             packet.origlen,
                             linktype,
                             {matched_.begin(), matched_.end()},
                             {rejected_.begin(), rejected_.end()}};
    }

    void ask(MachineReport& machine, Judge& judge, const Packet& packet) {
        const Verdict verdict = judge.judge(packet);
        if (!verdict.not_given.empty()) {
            auto at = machine.not_given.find(verdict.not_given);
            if (at == machine.not_given.end())
                at = machine.not_given.emplace(verdict.not_given, 0).first;
            ++at->second;
            return;
        }
        ++machine.given;
        machine.matches += verdict.matches;
        (verdict.matches ? matched_ : rejected_).push_back(machine.name);
    }

    const std::string& text_;
    Verification result_;
    std::map<std::uint32_t, Bench> benches_;           // by linktype
    std::vector<std::string_view> matched_, rejected_; // machines, of the packet that is looked at
};

} // namespace

Verification verify_filter(const std::string& text, const std::string& path, const std::function<bool()>& go_on) {
    Verifier verifier(text);
    files::Reader reader(path, {});
    Batch batch(1024);
    for (;;) {
        const Status status = reader.receive(batch, std::chrono::nanoseconds(-1));
        if (status == Status::error || status == Status::no_buffer)
            throw Error(reader.fault());
        if (status == Status::ok)
            verifier.look_at(batch, *reader.interfaces());
        if (status == Status::end_of_file || !go_on())
            return std::move(verifier).done();
    }
}

} // namespace wirepath
