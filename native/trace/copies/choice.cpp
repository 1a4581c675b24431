// SPDX-License-Identifier: Apache-2.0
#include "trace/copies/choice.hpp"

#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "linux/fd.hpp"
#include "trace/btf.hpp"
#include "trace/copies/shared.h"
#include "trace/hooks.hpp"

namespace wirepath::trace {
namespace {

// The kernel's symbols, read when a function is not in its type information: some hundred thousand lines.
class Symbols {
  public:
    bool has(const std::string& name) { return all().contains(name); }

    // Such as NAME.constprop.0: a function that the compiler changed, with arguments that nobody knows.
    std::string changed(const std::string& name) {
        const auto found = all().lower_bound(name + ".");
        return found != all().end() && found->starts_with(name + ".") ? *found : "";
    }

  private:
    const std::set<std::string>& all() {
        if (!names_) {
            names_.emplace();
            std::ifstream file("/proc/kallsyms");
            for (std::string address, type, name, rest; file >> address >> type >> name; std::getline(file, rest))
                if (type == "t" || type == "T")
                    names_->insert(name);
        }
        return *names_;
    }

    std::optional<std::set<std::string>> names_;
};

std::vector<std::string> names_of(const Observation& row) {
    std::vector<std::string> names{std::string(row.target)};
    std::istringstream others{std::string(row.other_names)};
    for (std::string name; others >> name;)
        names.push_back(name);
    return names;
}

class Chooser {
  public:
    explicit Chooser(bpf_object* object) : object_(object), types_(kernel_btf("To count copies")) {
        for (HookKind& kind : probe_hooks())
            kinds_[kind.name] = std::move(kind);
    }

    // The programs for this row, best first, or the reason why there is none.
    std::vector<Candidate> choose(const Observation& row, std::string& reason) {
        std::vector<Candidate> found;
        const auto add = [&](std::optional<Candidate>&& one) {
            if (one)
                found.push_back(std::move(*one));
        };
        if (row.by == HookBy::tracepoint)
            add(tracepoint(row, reason));
        else
            for (const std::string& name : names_of(row)) {
                add(traced(row.by == HookBy::function_return ? "fexit" : "fentry", row, name, reason));
                if (row.by == HookBy::function)
                    add(probed(row, name, !found.empty()));
                if (!found.empty())
                    break;
            }
        return found;
    }

  private:
    std::optional<Candidate> tracepoint(const Observation& row, std::string& reason) {
        const std::string name(row.target);
        if (!kinds_["tp_btf"].usable)
            reason = "tracepoints: " + kinds_["tp_btf"].reason;
        else if (btf__find_by_name_kind(types_.get(), ("btf_trace_" + name).c_str(), BTF_KIND_TYPEDEF) < 0)
            reason = "this kernel has no tracepoint " + name;
        else
            return use("tp_" + name, row, "tracepoint", name);
        return std::nullopt;
    }

    // Where fentry cannot be had, or turns out not to attach: some functions are compiled without the place for it.
    std::optional<Candidate> probed(const Observation& row, const std::string& name, bool exists) {
        if (!kinds_["kprobe"].usable || !(exists || symbols_.has(name)))
            return std::nullopt;
        return use("kprobe_" + std::string(row.target), row, "kprobe", name);
    }

    std::optional<Candidate> traced(std::string_view kind, const Observation& row, const std::string& name,
                                    std::string& reason) {
        const int type = btf__find_by_name_kind(types_.get(), name.c_str(), BTF_KIND_FUNC);
        if (type < 0)
            return absent(name, reason);
        if (!kinds_[kind].usable) {
            reason = std::string(kind) + ": " + kinds_[kind].reason;
            return std::nullopt;
        }
        if (const int failed = load_empty(kind, type); failed != 0) {
            reason = std::string(kind) + " of " + name + ": " + std::strerror(failed);
            return std::nullopt;
        }
        auto found = use(std::string(kind) + "_" + std::string(row.target), row, kind, name);
        if (name != row.target)
            bpf_program__set_attach_target(found->program, 0, name.c_str());
        return found;
    }

    std::nullopt_t absent(const std::string& name, std::string& reason) {
        if (!reason.empty())
            return std::nullopt; // what was said of its first name says more
        const std::string changed = symbols_.changed(name);
        reason = !changed.empty()     ? "this kernel has " + name + " only as " + changed
                 : symbols_.has(name) ? "this kernel's type information does not have " + name
                                      : "this kernel has no function " + name + " (renamed, inlined or not built in)";
        return std::nullopt;
    }

    // Whether the kernel would take a program there: a name in the type information alone does not say so.
    static int load_empty(std::string_view kind, int type) {
        const bpf_insn nothing[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
                                    {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
        bpf_prog_load_opts options{};
        options.sz = sizeof options;
        options.expected_attach_type = kind == "fexit" ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY;
        options.attach_btf_id = static_cast<std::uint32_t>(type);
        const Fd program(
            bpf_prog_load(BPF_PROG_TYPE_TRACING, "wirepath_probe", "GPL", nothing, std::size(nothing), &options));
        return program ? 0 : errno;
    }

    std::optional<Candidate> use(const std::string& program, const Observation& row, std::string_view kind,
                                 std::string target) {
        bpf_program* found = bpf_object__find_program_by_name(object_, program.c_str());
        bpf_program__set_autoload(found, true);
        return Candidate{row.hook, found, kind, std::move(target)};
    }

    bpf_object* object_;
    Btf types_;
    std::map<std::string_view, HookKind> kinds_;
    Symbols symbols_;
};

} // namespace

const std::vector<CopyHook>& copy_hooks() {
    static const std::vector<CopyHook> all = {
#define COPIES_HOOK(hook, role, attributed, meaning) {#hook, #role, #attributed, meaning, {}, {}},
#include "trace/copies/hooks.def"
    };
    return all;
}

const std::vector<Observation>& copy_observations() {
    static const std::vector<Observation> all = {
#define COPIES_FUNCTION(hook, target, names, ...) {COPIES_##hook, HookBy::function, #target, names, 0},
#define COPIES_RETURN(hook, target, names, ...) {COPIES_##hook, HookBy::function_return, #target, names, 0},
#define COPIES_TRACEPOINT(hook, target, ...) {COPIES_##hook, HookBy::tracepoint, #target, "", 0},
#define COPIES_DERIVED(hook, from) {COPIES_##hook, HookBy::other_hook, #from, "", COPIES_##from},
#include "trace/copies/hooks.def"
    };
    return all;
}

std::vector<Candidate> choose_programs(bpf_object* object, std::vector<CopyHook>& hooks) {
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object) {
        if (std::string_view(bpf_program__name(program)) != "adopt")
            bpf_program__set_autoload(program, false);
    }
    Chooser chooser(object);
    std::vector<Candidate> chosen;
    for (const Observation& row : copy_observations()) {
        if (row.by == HookBy::other_hook)
            continue;
        std::string reason;
        for (Candidate& found : chooser.choose(row, reason))
            chosen.push_back(std::move(found));
        if (hooks[row.hook].reason.empty())
            hooks[row.hook].reason = reason;
    }
    return chosen;
}

} // namespace wirepath::trace
