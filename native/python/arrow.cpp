// SPDX-License-Identifier: Apache-2.0
#include "python/arrow.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include "core/copy.hpp"

namespace wirepath::python {
namespace {

struct ArrowSchema {
    const char *format, *name, *metadata;
    std::int64_t flags, n_children;
    ArrowSchema **children, *dictionary;
    void (*release)(ArrowSchema*);
    void* private_data;
};

struct ArrowArray {
    std::int64_t length, null_count, offset, n_buffers, n_children;
    const void** buffers;
    ArrowArray **children, *dictionary;
    void (*release)(ArrowArray*);
    void* private_data;
};

struct ArrowArrayStream {
    int (*get_schema)(ArrowArrayStream*, ArrowSchema*);
    int (*get_next)(ArrowArrayStream*, ArrowArray*);
    const char* (*get_last_error)(ArrowArrayStream*);
    void (*release)(ArrowArrayStream*);
    void* private_data;
};

struct Field {
    const char *name, *format;
};
constexpr std::array fields = {Field{"ts", "tsn:UTC"},  Field{"caplen", "I"}, Field{"origlen", "I"},
                               Field{"interface", "S"}, Field{"queue", "S"},  Field{"vlan_tci", "S"},
                               Field{"vlan_tpid", "S"}, Field{"flags", "S"},  Field{"data", "z"}};

void release_child_schema(ArrowSchema* schema) { schema->release = nullptr; } // it points to constants

struct SchemaOwner {
    std::array<ArrowSchema, fields.size()> children;
    std::array<ArrowSchema*, fields.size()> pointers;
};

void export_schema(ArrowSchema* into) {
    auto* owner = new SchemaOwner{};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        owner->children[i] = {fields[i].format, fields[i].name,       nullptr, 0, 0, nullptr,
                              nullptr,          release_child_schema, nullptr};
        owner->pointers[i] = &owner->children[i];
    }
    *into = {"+s",
             "",
             nullptr,
             0,
             fields.size(),
             owner->pointers.data(),
             nullptr,
             [](ArrowSchema* schema) {
                 delete static_cast<SchemaOwner*>(schema->private_data);
                 schema->release = nullptr;
             },
             owner};
}

struct ArrayOwner {
    Columns::Ref columns;
    std::vector<std::int32_t> ends; // of each payload in `bytes`, behind a first 0
    std::vector<std::byte> bytes;
    std::array<std::array<const void*, 3>, fields.size()> buffers{};
    std::array<ArrowArray, fields.size()> children;
    std::array<ArrowArray*, fields.size()> pointers;
    const void* no_validity = nullptr;
};

void copy_payloads(const Batch& from, ArrayOwner& into) {
    std::size_t total = 0;
    for (std::uint32_t row = 0; row < from.size(); ++row)
        total += from.columns()->caplen[row];
    if (total > INT32_MAX)
        throw Error(Code::unsupported, "a batch with more than 2 GiB of payload cannot be an Arrow array");
    into.bytes.resize(total);
    into.ends.push_back(0);
    std::size_t at = 0;
    CopyCount user_asked_for_it;
    for (std::uint32_t row = 0; row < from.size(); ++row) {
        copy_payload(into.bytes.data() + at, from.data(row), user_asked_for_it);
        at += from.data(row).size();
        into.ends.push_back(static_cast<std::int32_t>(at));
    }
}

// A consumer may move a child away and release its parent: each keeps all of it alive.
using Hold = std::shared_ptr<ArrayOwner>;

void release_array(ArrowArray* array) {
    for (std::int64_t i = 0; i < array->n_children; ++i)
        if (array->children[i]->release != nullptr)
            array->children[i]->release(array->children[i]);
    array->release = nullptr;
    delete static_cast<Hold*>(array->private_data); // the last: the array itself may be in it
}

void export_array(const PyBatch& batch, ArrowArray* into) {
    const auto [base, lease] = batch.payload();
    const auto length = static_cast<std::int64_t>(batch.batch().size());
    const Hold owner = std::make_shared<ArrayOwner>();
    owner->columns = batch.batch().columns();
    copy_payloads(batch.batch(), *owner);
    const Columns& c = *owner->columns.operator->();
    const std::array<const void*, fields.size()> values = {c.ts.get(),        c.caplen.get(), c.origlen.get(),
                                                           c.interface.get(), c.queue.get(),  c.vlan_tci.get(),
                                                           c.vlan_tpid.get(), c.flags.get(),  owner->ends.data()};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const bool binary = i + 1 == fields.size();
        owner->buffers[i] = {nullptr, values[i], binary ? owner->bytes.data() : nullptr};
        owner->children[i] = {
            length,         0, 0, binary ? 3 : 2, 0, owner->buffers[i].data(), nullptr, nullptr, release_array,
            new Hold(owner)};
        owner->pointers[i] = &owner->children[i];
    }
    *into = {
        length,         0, 0, 1, fields.size(), &owner->no_validity, owner->pointers.data(), nullptr, release_array,
        new Hold(owner)};
}

template <typename Struct>
nb::object capsule(std::unique_ptr<Struct> owned, const char* name) {
    PyObject* made = PyCapsule_New(owned.get(), name, [](PyObject* self) {
        auto* held = static_cast<Struct*>(PyCapsule_GetPointer(self, PyCapsule_GetName(self)));
        if (held->release != nullptr) // nobody took it
            held->release(held);
        delete held;
    });
    if (made == nullptr)
        throw nb::python_error();
    owned.release();
    return nb::steal(made);
}

// Consumers call from threads of their own: each callback takes the GIL.
struct StreamOwner {
    nb::object capture;
    std::string error;
};

int next_array(StreamOwner& owner, ArrowArray* into) {
    const nb::gil_scoped_acquire gil;
    try {
        const nb::tuple received = nb::cast<PyCapture&>(owner.capture).receive(-1);
        if (received[1].is_none())
            into->release = nullptr; // the end
        else
            export_array(nb::cast<const PyBatch&>(received[1]), into);
        return 0;
    } catch (const std::exception& error) {
        owner.error = error.what();
        return EIO;
    }
}

void export_stream(nb::object capture, ArrowArrayStream* into) {
    into->private_data = new StreamOwner{std::move(capture), {}};
    into->get_schema = [](ArrowArrayStream*, ArrowSchema* schema) {
        export_schema(schema);
        return 0;
    };
    into->get_next = [](ArrowArrayStream* self, ArrowArray* array) {
        return next_array(*static_cast<StreamOwner*>(self->private_data), array);
    };
    into->get_last_error = [](ArrowArrayStream* self) -> const char* {
        const std::string& error = static_cast<StreamOwner*>(self->private_data)->error;
        return error.empty() ? nullptr : error.c_str();
    };
    into->release = [](ArrowArrayStream* self) {
        const nb::gil_scoped_acquire gil;
        delete static_cast<StreamOwner*>(self->private_data);
        self->release = nullptr;
    };
}

} // namespace

nb::tuple arrow_array(const PyBatch& batch) {
    auto schema = std::make_unique<ArrowSchema>();
    auto array = std::make_unique<ArrowArray>();
    export_array(batch, array.get());
    export_schema(schema.get());
    return nb::make_tuple(capsule(std::move(schema), "arrow_schema"), capsule(std::move(array), "arrow_array"));
}

nb::object arrow_stream(nb::object capture) {
    auto stream = std::make_unique<ArrowArrayStream>();
    export_stream(std::move(capture), stream.get());
    return capsule(std::move(stream), "arrow_array_stream");
}

} // namespace wirepath::python
