// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace wirepath {

// How a receive() or consume() ended.
enum class Status {
    ok,          // there is something in the batch; a sink took it all
    timeout,     // nothing came in the time given, or a signal ended the wait early
    interrupted, // interrupt() was called
    no_buffer,   // views of earlier batches hold all the memory there is
    no_space,    // the disk is full
    end_of_file, // no packet will come any more
    gone,        // the interface went down or vanished: fault() says which
    error,       // fault() says what
};

} // namespace wirepath
