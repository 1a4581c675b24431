// SPDX-License-Identifier: Apache-2.0
#include "core/options.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <vector>

#include "core/error.hpp"

namespace wirepath {
namespace {

std::size_t distance(std::string_view a, std::string_view b) { // Levenshtein
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row.back();
}

const OptionSpec* find(std::span<const OptionSpec> specs, std::string_view name) {
    const auto at = std::find_if(specs.begin(), specs.end(), [name](const OptionSpec& s) { return s.name == name; });
    return at == specs.end() ? nullptr : &*at;
}

Error unknown(std::string_view engine, std::span<const OptionSpec> specs, std::string_view name) {
    std::string hint;
    std::string_view nearest;
    std::size_t best = 4;
    for (const OptionSpec& spec : specs) {
        const std::size_t d = distance(name, spec.name);
        if (d < best)
            best = d, nearest = spec.name;
        hint += (hint.empty() ? "Its options: " : ", ") + std::string(spec.name);
    }
    if (!nearest.empty())
        hint = "Did you mean " + std::string(nearest) + "?";
    return Error(Code::bad_option, "the engine " + std::string(engine) + " has no option '" + std::string(name) + "'",
                 0, hint.empty() ? "It has none" : hint);
}

bool is_choice(std::string_view choices, std::string_view value) {
    while (!choices.empty()) {
        const std::size_t bar = std::min(choices.find('|'), choices.size());
        if (choices.substr(0, bar) == value)
            return true;
        choices.remove_prefix(std::min(bar + 1, choices.size()));
    }
    return false;
}

bool parse_integer(std::string_view text, std::int64_t& into) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), into);
    if (failed != std::errc{})
        return false;
    const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
    if (rest.empty())
        return true;
    const std::size_t power = std::string_view("kmg").find(static_cast<char>(std::tolower(rest[0])));
    if (rest.size() > 1 || power == std::string_view::npos)
        return false;
    const int shift = 10 * (static_cast<int>(power) + 1);
    if (into < 0 || into > (INT64_MAX >> shift))
        return false;
    into <<= shift;
    return true;
}

bool parse_flag(std::string_view text, bool& into) {
    into = text == "1" || text == "true" || text == "on" || text == "yes";
    return into || text == "0" || text == "false" || text == "off" || text == "no";
}

void check(const OptionSpec& spec, const std::string& value) {
    const auto wrong = [&](const std::string& wanted) {
        return Error(Code::bad_option, "the option " + std::string(spec.name) + " cannot be '" + value + "'", 0,
                     "It takes " + wanted);
    };
    std::int64_t number = 0;
    bool flag = false;
    if (spec.kind == OptionSpec::Kind::integer && !parse_integer(value, number))
        throw wrong("a whole number" + (spec.unit.empty() ? "" : " (" + std::string(spec.unit) + ")") +
                    ", with k, M or G for 2^10, 2^20, 2^30");
    if (spec.kind == OptionSpec::Kind::boolean && !parse_flag(value, flag))
        throw wrong("on or off");
    if (!spec.choices.empty() && !is_choice(spec.choices, value)) {
        std::string choices(spec.choices);
        std::replace(choices.begin(), choices.end(), '|', ' ');
        throw wrong("one of: " + choices);
    }
}

} // namespace

Options::Options(std::string_view engine, std::span<const OptionSpec> specs,
                 const std::map<std::string, std::string>& given) {
    for (const OptionSpec& spec : specs)
        values_.emplace(spec.name, spec.initial);
    for (const auto& [name, value] : given) {
        const OptionSpec* spec = find(specs, name);
        if (spec == nullptr)
            throw unknown(engine, specs, name);
        check(*spec, value);
        values_[name] = value;
        given_[name] = value;
    }
}

bool Options::has(std::string_view name) const { return given_.find(name) != given_.end(); }
const std::string& Options::value(std::string_view name) const { return values_.find(name)->second; }
std::string Options::text(std::string_view name) const { return value(name); }

bool Options::flag(std::string_view name) const {
    bool result = false;
    parse_flag(value(name), result);
    return result;
}

std::int64_t Options::integer(std::string_view name) const {
    std::int64_t result = 0;
    parse_integer(value(name), result);
    return result;
}

} // namespace wirepath
