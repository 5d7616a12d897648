//! `wasi:http` at 0.2, refused ([`crate::refused`]).

use crate::interface::{handle, interface, item};
use crate::refused::{Refused, refuse};

interface! {
    /// `wasi:http/types@0.2`, refused.
    HTTP_TYPES = "wasi:http/types", "0.2", "wasi:http/types@0.2.0" {
        item, "fields", handle::<Refused>;
        item, "incoming-request", handle::<Refused>;
        item, "outgoing-request", handle::<Refused>;
        item, "request-options", handle::<Refused>;
        item, "response-outparam", handle::<Refused>;
        item, "incoming-response", handle::<Refused>;
        item, "incoming-body", handle::<Refused>;
        item, "future-trailers", handle::<Refused>;
        item, "outgoing-response", handle::<Refused>;
        item, "outgoing-body", handle::<Refused>;
        item, "future-incoming-response", handle::<Refused>;
        item, "[constructor]fields", refuse;
        item, "[static]fields.from-list", refuse;
        item, "[method]fields.get", refuse;
        item, "[method]fields.has", refuse;
        item, "[method]fields.set", refuse;
        item, "[method]fields.delete", refuse;
        item, "[method]fields.append", refuse;
        item, "[method]fields.entries", refuse;
        item, "[method]fields.clone", refuse;
        item, "[method]incoming-request.method", refuse;
        item, "[method]incoming-request.path-with-query", refuse;
        item, "[method]incoming-request.scheme", refuse;
        item, "[method]incoming-request.authority", refuse;
        item, "[method]incoming-request.headers", refuse;
        item, "[method]incoming-request.consume", refuse;
        item, "[constructor]outgoing-request", refuse;
        item, "[method]outgoing-request.body", refuse;
        item, "[method]outgoing-request.method", refuse;
        item, "[method]outgoing-request.set-method", refuse;
        item, "[method]outgoing-request.path-with-query", refuse;
        item, "[method]outgoing-request.set-path-with-query", refuse;
        item, "[method]outgoing-request.scheme", refuse;
        item, "[method]outgoing-request.set-scheme", refuse;
        item, "[method]outgoing-request.authority", refuse;
        item, "[method]outgoing-request.set-authority", refuse;
        item, "[method]outgoing-request.headers", refuse;
        item, "[constructor]request-options", refuse;
        item, "[method]request-options.connect-timeout", refuse;
        item, "[method]request-options.set-connect-timeout", refuse;
        item, "[method]request-options.first-byte-timeout", refuse;
        item, "[method]request-options.set-first-byte-timeout", refuse;
        item, "[method]request-options.between-bytes-timeout", refuse;
        item, "[method]request-options.set-between-bytes-timeout", refuse;
        item, "[method]response-outparam.send-informational", refuse;
        item, "[static]response-outparam.set", refuse;
        item, "[method]incoming-response.status", refuse;
        item, "[method]incoming-response.headers", refuse;
        item, "[method]incoming-response.consume", refuse;
        item, "[method]incoming-body.stream", refuse;
        item, "[static]incoming-body.finish", refuse;
        item, "[method]future-trailers.subscribe", refuse;
        item, "[method]future-trailers.get", refuse;
        item, "[constructor]outgoing-response", refuse;
        item, "[method]outgoing-response.status-code", refuse;
        item, "[method]outgoing-response.set-status-code", refuse;
        item, "[method]outgoing-response.headers", refuse;
        item, "[method]outgoing-response.body", refuse;
        item, "[method]outgoing-body.write", refuse;
        item, "[static]outgoing-body.finish", refuse;
        item, "[method]future-incoming-response.subscribe", refuse;
        item, "[method]future-incoming-response.get", refuse;
        item, "http-error-code", refuse;
    }
}

interface! {
    /// `wasi:http/outgoing-handler@0.2`, refused.
    HTTP_OUTGOING_HANDLER = "wasi:http/outgoing-handler", "0.2", "wasi:http/outgoing-handler@0.2.0" {
        item, "handle", refuse;
    }
}
