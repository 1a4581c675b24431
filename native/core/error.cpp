// SPDX-License-Identifier: Apache-2.0
#include "core/error.hpp"

#include <cerrno>
#include <system_error>

namespace wirepath {
namespace {

std::string compose(const std::string& doing, int err, const std::string& hint) {
    std::string text = doing;
    if (err != 0)
        text += ": " + std::generic_category().message(err);
    if (!hint.empty())
        text += (text.back() == '\n' ? "" : ". ") + hint;
    return text;
}

Code code_of(int err) {
    switch (err) {
    case EPERM:
    case EACCES:
        return Code::permission;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return Code::not_found;
    case EBUSY:
        return Code::busy;
    case EOPNOTSUPP:
    case ENOSYS:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
        return Code::unsupported;
    case ENOSPC:
    case EDQUOT:
        return Code::no_space;
    case ENETDOWN:
        return Code::gone;
    default:
        return Code::system;
    }
}

} // namespace

Error::Error(Code code, std::string doing, int err, std::string hint)
    : code_(code), err_(err), doing_(std::move(doing)), hint_(std::move(hint)), message_(compose(doing_, err_, hint_)) {
}

Error Error::from_errno(std::string doing, int err, std::string hint) {
    if (hint.empty() && (err == EPERM || err == EACCES))
        hint = "This needs CAP_NET_RAW and CAP_NET_ADMIN: run with sudo, or with setpriv --ambient-caps "
               "+net_raw,+net_admin";
    return Error(code_of(err), std::move(doing), err, std::move(hint));
}

} // namespace wirepath
