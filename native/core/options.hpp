// SPDX-License-Identifier: Apache-2.0
// An engine describes its options once; the command line, the docs and the checks derive from that.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace wirepath {

struct OptionSpec {
    enum class Kind { boolean, integer, text };
    std::string_view name; // as in Python: block_size
    Kind kind;
    std::string_view unit;    // "bytes", "ms", "us", "packets", "" where none applies
    std::string_view initial; // the default, in words if it is not a fixed value: "all"
    std::string_view help;
    std::string_view choices = {}; // "auto|copy|zero_copy"; empty: any
};

// What the user asked for, checked against the specs: an option that the engine does not list is an error.
class Options {
  public:
    // Integers take the suffixes k, M, G (1024). Throws Error bad_option, naming the nearest option there is.
    Options(std::string_view engine, std::span<const OptionSpec> specs,
            const std::map<std::string, std::string>& given);

    bool has(std::string_view name) const; // given by the user
    bool flag(std::string_view name) const;
    std::int64_t integer(std::string_view name) const;
    std::string text(std::string_view name) const;

  private:
    const std::string& value(std::string_view name) const;
    std::map<std::string, std::string, std::less<>> values_; // defaults filled in
    std::map<std::string, std::string, std::less<>> given_;
};

} // namespace wirepath
