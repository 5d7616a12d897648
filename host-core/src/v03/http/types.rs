//! `wasi:http/types`: the table of its functions.

use super::fields;
use super::options::{self, RequestOptions};
use super::request;
use super::response;
use crate::interface::{handle, interface, item, plain};
use crate::v02::http::fields::Fields;

interface! {
    /// `wasi:http/types@0.3`.
    TYPES = "wasi:http/types", "0.3", "wasi:http/types@0.3.0" {
        item, "fields", handle::<Fields>;
        item, "request", request::register;
        item, "request-options", handle::<RequestOptions>;
        item, "response", response::register;
        plain, "[constructor]fields", fields::new;
        plain, "[static]fields.from-list", fields::from_list;
        plain, "[method]fields.get", fields::get;
        plain, "[method]fields.has", fields::has;
        plain, "[method]fields.set", fields::set;
        plain, "[method]fields.delete", fields::delete;
        plain, "[method]fields.get-and-delete", fields::get_and_delete;
        plain, "[method]fields.append", fields::append;
        plain, "[method]fields.copy-all", fields::copy_all;
        plain, "[method]fields.clone", fields::clone;
        plain, "[static]request.new", request::new;
        plain, "[method]request.get-method", request::method;
        plain, "[method]request.set-method", request::set_method;
        plain, "[method]request.get-path-with-query", request::path_with_query;
        plain, "[method]request.set-path-with-query", request::set_path_with_query;
        plain, "[method]request.get-scheme", request::scheme;
        plain, "[method]request.set-scheme", request::set_scheme;
        plain, "[method]request.get-authority", request::authority;
        plain, "[method]request.set-authority", request::set_authority;
        plain, "[method]request.get-options", request::options;
        plain, "[method]request.get-headers", request::headers;
        plain, "[static]request.consume-body", request::consume_body;
        plain, "[constructor]request-options", options::new;
        plain, "[method]request-options.get-connect-timeout", options::connect_timeout;
        plain, "[method]request-options.set-connect-timeout", options::set_connect_timeout;
        plain, "[method]request-options.get-first-byte-timeout", options::first_byte_timeout;
        plain, "[method]request-options.set-first-byte-timeout", options::set_first_byte_timeout;
        plain, "[method]request-options.get-between-bytes-timeout", options::between_bytes_timeout;
        plain, "[method]request-options.set-between-bytes-timeout", options::set_between_bytes_timeout;
        plain, "[method]request-options.clone", options::clone;
        plain, "[static]response.new", response::new;
        plain, "[method]response.get-status-code", response::status_code;
        plain, "[method]response.set-status-code", response::set_status_code;
        plain, "[method]response.get-headers", response::headers;
        plain, "[static]response.consume-body", response::consume_body;
    }
}
