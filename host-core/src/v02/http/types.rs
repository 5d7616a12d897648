//! `wasi:http/types`: the table of its functions.

use super::error_code::ErrorCode;
use super::fields::{self, Fields};
use super::handler::{self, FutureIncomingResponse};
use super::incoming::{self, IncomingRequest, IncomingResponse};
use super::incoming_body::{self, FutureTrailers, IncomingBody};
use super::options::{self, RequestOptions};
use super::outgoing::{self, OutgoingRequest, OutgoingResponse, ResponseOutparam};
use super::outgoing_body::{self, OutgoingBody};
use crate::interface::{handle, interface, item, plain};
use crate::v02::io::IoError;
use wasmtime::component::Resource;

interface! {
    /// `wasi:http/types@0.2`.
    TYPES = "wasi:http/types", "0.2", "wasi:http/types@0.2.0" {
        item, "fields", handle::<Fields>;
        item, "incoming-request", handle::<IncomingRequest>;
        item, "outgoing-request", handle::<OutgoingRequest>;
        item, "request-options", handle::<RequestOptions>;
        item, "response-outparam", handle::<ResponseOutparam>;
        item, "incoming-response", handle::<IncomingResponse>;
        item, "incoming-body", handle::<IncomingBody>;
        item, "future-trailers", handle::<FutureTrailers>;
        item, "outgoing-response", handle::<OutgoingResponse>;
        item, "outgoing-body", handle::<OutgoingBody>;
        item, "future-incoming-response", handle::<FutureIncomingResponse>;
        plain, "[constructor]fields", fields::new;
        plain, "[static]fields.from-list", fields::from_list;
        plain, "[method]fields.get", fields::get;
        plain, "[method]fields.has", fields::has;
        plain, "[method]fields.set", fields::set;
        plain, "[method]fields.delete", fields::delete;
        plain, "[method]fields.append", fields::append;
        plain, "[method]fields.entries", fields::entries;
        plain, "[method]fields.clone", fields::clone;
        plain, "[method]incoming-request.method", incoming::method;
        plain, "[method]incoming-request.path-with-query", incoming::path_with_query;
        plain, "[method]incoming-request.scheme", incoming::scheme;
        plain, "[method]incoming-request.authority", incoming::authority;
        plain, "[method]incoming-request.headers", incoming::request_headers;
        plain, "[method]incoming-request.consume", incoming::consume_request;
        plain, "[constructor]outgoing-request", outgoing::new_request;
        plain, "[method]outgoing-request.body", outgoing::request_body;
        plain, "[method]outgoing-request.method", outgoing::method;
        plain, "[method]outgoing-request.set-method", outgoing::set_method;
        plain, "[method]outgoing-request.path-with-query", outgoing::path_with_query;
        plain, "[method]outgoing-request.set-path-with-query", outgoing::set_path_with_query;
        plain, "[method]outgoing-request.scheme", outgoing::scheme;
        plain, "[method]outgoing-request.set-scheme", outgoing::set_scheme;
        plain, "[method]outgoing-request.authority", outgoing::authority;
        plain, "[method]outgoing-request.set-authority", outgoing::set_authority;
        plain, "[method]outgoing-request.headers", outgoing::request_headers;
        plain, "[constructor]request-options", options::new;
        plain, "[method]request-options.connect-timeout", options::connect_timeout;
        plain, "[method]request-options.set-connect-timeout", options::set_connect_timeout;
        plain, "[method]request-options.first-byte-timeout", options::first_byte_timeout;
        plain, "[method]request-options.set-first-byte-timeout", options::set_first_byte_timeout;
        plain, "[method]request-options.between-bytes-timeout", options::between_bytes_timeout;
        plain, "[method]request-options.set-between-bytes-timeout", options::set_between_bytes_timeout;
        plain, "[method]response-outparam.send-informational", outgoing::send_informational;
        plain, "[static]response-outparam.set", outgoing::set_response;
        plain, "[method]incoming-response.status", incoming::status;
        plain, "[method]incoming-response.headers", incoming::response_headers;
        plain, "[method]incoming-response.consume", incoming::consume_response;
        plain, "[method]incoming-body.stream", incoming_body::stream;
        plain, "[static]incoming-body.finish", incoming_body::finish;
        plain, "[method]future-trailers.subscribe", incoming_body::subscribe_trailers;
        plain, "[method]future-trailers.get", incoming_body::trailers;
        plain, "[constructor]outgoing-response", outgoing::new_response;
        plain, "[method]outgoing-response.status-code", outgoing::status_code;
        plain, "[method]outgoing-response.set-status-code", outgoing::set_status_code;
        plain, "[method]outgoing-response.headers", outgoing::response_headers;
        plain, "[method]outgoing-response.body", outgoing::response_body;
        plain, "[method]outgoing-body.write", outgoing_body::write;
        plain, "[static]outgoing-body.finish", outgoing_body::finish;
        plain, "[method]future-incoming-response.subscribe", handler::subscribe;
        plain, "[method]future-incoming-response.get", handler::get;
        plain, "http-error-code", |context, (error,): (Resource<IoError>,)| {
            Ok((match context.data().table.get(&error)? {
                IoError::Http(failure) => Some(ErrorCode::from(*failure)),
                IoError::Network(error) => Some(ErrorCode::from(*error)),
                IoError::Console(_) | IoError::File(_) => None,
            },))
        };
    }
}
