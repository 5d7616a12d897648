//! Arbitrary bytes as HTTP requests, cut where the first byte says: what is made of them is the same as whole, and answers can be given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mwasm_http::server::{Connection, Next};
use mwasm_http::{Body, BodyLength, Headers, Limits};

/// Heads and bodies, as text, of what comes in pieces of so many bytes.
fn read(mut bytes: &[u8], piece: usize) -> Vec<String> {
    let mut connection = Connection::new(Limits { max_head_bytes: 1 << 10, max_body_bytes: 4 << 10 });
    let mut receive = |connection: &mut Connection| {
        let space = connection.space();
        let count = bytes.len().min(piece).min(space.len());
        let (now, later) = bytes.split_at(count);
        space[..count].copy_from_slice(now);
        connection.filled(count);
        bytes = later;
        if count == 0 {
            connection.ended();
        }
    };
    let mut seen = Vec::new();
    loop {
        match connection.next_request() {
            Next::Pending => receive(&mut connection),
            Next::Closed => return seen,
            Next::Refused(fault) => {
                seen.push(format!("{fault}"));
                connection.reject(fault.status(), fault.why(), None);
                return seen;
            }
            Next::Request(head) => {
                seen.push(format!("{head:?}"));
                let mut body = Vec::new();
                let end = loop {
                    match connection.body(100) {
                        Body::Data(data) => body.extend_from_slice(data),
                        Body::Pending => receive(&mut connection),
                        end => break format!("{end:?}"),
                    }
                };
                seen.push(format!("{} {end}", body.escape_ascii()));
                if connection.respond(200, &head.headers, BodyLength::Unknown, None).is_err() {
                    connection.respond(200, &Headers::new(), BodyLength::Unknown, None).expect("an answer can be given");
                }
                let _ = connection.send_body(&body);
                if connection.finish(None).is_err() {
                    return seen;
                }
                let count = connection.to_send().len();
                connection.sent(count);
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    assert_eq!(read(bytes, usize::MAX), read(bytes, usize::from(*piece).max(1)));
});
