//! What the tests of connections share.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each test uses a part of it, and fails by panicking")]

use mwasm_http::{Body, Headers, server};

/// Feeds bytes to a server's connection, as much at a time as it has room for.
pub fn feed(connection: &mut server::Connection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let space = connection.space();
        let count = space.len().min(bytes.len());
        assert!(count > 0, "no room for {} bytes", bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        connection.filled(count);
        bytes = &bytes[count..];
    }
}

/// Takes all that is to be sent.
pub fn sent(connection: &mut server::Connection) -> String {
    let bytes = connection.to_send().to_vec();
    connection.sent(bytes.len());
    assert!(connection.is_flushed());
    String::from_utf8(bytes).unwrap()
}

/// Takes what is there of a body, and its trailers once it is whole.
pub fn taken(connection: &mut server::Connection) -> (Vec<u8>, Option<Option<Headers>>) {
    let mut bytes = Vec::new();
    loop {
        match connection.body(7) {
            Body::Data(data) => bytes.extend_from_slice(data),
            Body::Pending => return (bytes, None),
            Body::End(trailers) => return (bytes, Some(trailers)),
            Body::Failed(fault) => panic!("{fault}"),
        }
    }
}
