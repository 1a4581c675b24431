// SPDX-License-Identifier: Apache-2.0
// One exception class a line of codes.def, each also the built-in class that it names.
#include <array>

#include "python/bind.hpp"

namespace wirepath::python {
namespace {

constexpr std::size_t codes = 0
#define WIREPATH_CODE(code, python_class, builtin) +1
#include "core/codes.def"
#undef WIREPATH_CODE
    ;

// Borrowed by the exception translator for as long as the module lives.
struct Classes {
    std::array<PyObject*, codes> by_code;
};

nb::object new_class(nb::module_& m, const char* name, nb::object bases) {
    const std::string qualified = std::string("wirepath.") + name;
    nb::object made = nb::steal(PyErr_NewException(qualified.c_str(), bases.ptr(), nullptr));
    if (!made.is_valid())
        throw nb::python_error();
    m.attr(name) = made;
    return made;
}

void raise(const Error& error, PyObject* type) {
    nb::object instance = nb::borrow(type)(error.what());
    instance.attr("errno") = error.err() != 0 ? nb::cast(error.err()) : nb::none();
    instance.attr("doing") = error.doing();
    instance.attr("hint") = error.hint();
    PyErr_SetObject(type, instance.ptr());
}

} // namespace

void bind_errors(nb::module_& m) {
    nb::object base = new_class(m, "WirepathError", nb::borrow(PyExc_Exception));
    auto* classes = new Classes; // owned by the module below
    std::size_t i = 0;
#define WIREPATH_CODE(code, python_class, builtin)                                                                     \
    classes->by_code[i++] = new_class(m, #python_class, nb::make_tuple(base, nb::borrow(PyExc_##builtin))).ptr();
#include "core/codes.def"
#undef WIREPATH_CODE
    m.attr("_classes") = nb::capsule(classes, [](void* p) noexcept { delete static_cast<Classes*>(p); });
    nb::register_exception_translator(
        [](const std::exception_ptr& thrown, void* payload) {
            try {
                std::rethrow_exception(thrown);
            } catch (const Error& error) {
                raise(error, static_cast<Classes*>(payload)->by_code[static_cast<std::size_t>(error.code())]);
            }
        },
        classes);
}

nb::str text_of(const std::string& text) {
    nb::object decoded = nb::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
    if (!decoded.is_valid())
        throw nb::python_error();
    return nb::borrow<nb::str>(decoded);
}

nb::dict to_dict(const Stats& stats) {
    nb::dict result;
#define WIREPATH_STAT(name, meaning) result[#name] = stats.name ? nb::cast(*stats.name) : nb::none();
#include "core/stats.def"
#undef WIREPATH_STAT
    return result;
}

} // namespace wirepath::python
