// SPDX-License-Identifier: Apache-2.0
#include "trace/packets/hook_table.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/error.hpp"

namespace wirepath::trace {
namespace {

constexpr const char* not_asked_for = "not asked for";

struct Listed {
    std::string_view names; // alternatives: a|b
    std::string_view group;
    std::uint32_t flags;
    std::string_view stage;
};

constexpr std::uint32_t CHECKS = trace_hook_checks, FORGETS = trace_hook_forgets;

constexpr Listed functions[] = {
#define WIREPATH_FUNCTION(names, group, flags, stage) {names, group, flags, stage},
#include "trace/packets/functions.def"
#undef WIREPATH_FUNCTION
};

Hook function_hook(const Listed& listed, const KernelTypes& types) {
    Hook hook{std::string(listed.names.substr(0, listed.names.find('|'))),
              "function",
              std::string(listed.group),
              std::string(listed.stage),
              "this kernel has no such function, or has inlined it",
              listed.flags};
    for (std::string_view rest = listed.names; !rest.empty();) {
        const std::size_t end = std::min(rest.find('|'), rest.size());
        if (const auto found = types.skb_functions.find(rest.substr(0, end)); found != types.skb_functions.end()) {
            hook.function = found->first;
            hook.argument = found->second;
            hook.reason.clear();
            break;
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return hook;
}

bool asked_for(const Hook& hook, const std::set<std::string, std::less<>>& probes) {
    // Without ends no packet would ever be complete.
    return hook.group == "end" || hook.kind == "copy" || (hook.kind == "mark" && hook.group != "xdp") ||
           probes.contains(hook.function) || probes.contains(hook.group);
}

std::string known_groups(const std::vector<Hook>& hooks) {
    std::vector<std::string> groups;
    for (const Hook& hook : hooks)
        if (std::find(groups.begin(), groups.end(), hook.group) == groups.end())
            groups.push_back(hook.group);
    std::string result;
    for (const std::string& group : groups)
        result += (result.empty() ? "" : ", ") + group;
    return result;
}

} // namespace

std::vector<Hook> listed_hooks(const KernelTypes& types) {
    std::vector<Hook> hooks = {
#define WIREPATH_TRACEPOINT(name, skb, detail, location, flags, group, stage) {#name, "tracepoint", group, stage, ""},
#define WIREPATH_COPY(name, arguments, made, stage) {#name, "copy", "copy", stage, ""},
#define WIREPATH_MARK(name, function, group, stage) {function, "mark", group, stage, ""},
#include "trace/packets/hooks.def"
#undef WIREPATH_TRACEPOINT
#undef WIREPATH_COPY
#undef WIREPATH_MARK
    };
    for (Hook& hook : hooks)
        if (hook.kind == "copy" && !types.functions_of_core.contains(hook.function))
            hook.reason = "this kernel has no such function, or has inlined it";
    for (const Listed& listed : functions)
        hooks.push_back(function_hook(listed, types));
    return hooks;
}

void add_all_functions(std::vector<Hook>& hooks, const KernelTypes& types) {
    std::set<std::string_view> listed;
    for (const Hook& hook : hooks)
        if (hook.kind != "mark")
            listed.insert(hook.function);
    std::vector<Hook> others;
    for (const auto& [name, argument] : types.skb_functions)
        if (!listed.contains(name))
            others.push_back({name, "function", "all", "", "", trace_hook_known, argument});
    hooks.insert(hooks.end(), others.begin(), others.end());
}

void choose(std::vector<Hook>& hooks, const std::vector<std::string>& probes) {
    if (probes.empty())
        return;
    const std::set<std::string, std::less<>> wanted(probes.begin(), probes.end());
    for (const std::string& word : wanted)
        if (std::none_of(hooks.begin(), hooks.end(),
                         [&](const Hook& hook) { return hook.function == word || hook.group == word; }))
            throw Error(Code::bad_option, "there is no hook and no group of hooks called '" + word + "'", 0,
                        "Groups: " + known_groups(hooks) + "; `wirepath trace --list` has all hooks");
    for (Hook& hook : hooks)
        if (!asked_for(hook, wanted))
            hook.reason = not_asked_for;
}

} // namespace wirepath::trace
