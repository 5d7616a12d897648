//! What a server makes of requests, whole and torn, well meant and not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{feed, taken};
use mwasm_http::server::{Connection, Next};
use mwasm_http::{Body, BodyLength, Fault, Headers, Limits, MAX_FIELDS, Method, Version};

/// Head, body and trailers of each request in `bytes`, fed in pieces of `piece` bytes and answered at once; the fault or `None` at the end.
fn read(bytes: &[u8], piece: usize, limits: Limits) -> (Vec<String>, Option<Fault>) {
    let mut connection = Connection::new(limits);
    let mut rest = bytes;
    let mut receive = |connection: &mut Connection| match rest.len().min(piece).min(connection.space().len()) {
        0 => connection.ended(),
        count => feed(connection, rest.split_off(..count).unwrap()),
    };
    let mut seen = Vec::new();
    loop {
        match connection.next_request() {
            Next::Request(head) => {
                let mut body = Vec::new();
                let trailers = loop {
                    match connection.body(5) {
                        Body::Data(data) => body.extend_from_slice(data),
                        Body::End(trailers) => break trailers,
                        Body::Failed(fault) => return (seen, Some(fault)),
                        Body::Pending => receive(&mut connection),
                    }
                };
                let (method, path, host) = (head.method, head.path, head.authority.unwrap_or_default());
                let body = String::from_utf8_lossy(&body).into_owned();
                seen.push(format!("{method} {path} {host} {:?} {body:?} {trailers:?}", head.headers));
                connection.respond(204, &Headers::new(), BodyLength::None, None).unwrap();
                connection.finish(None).unwrap();
                let count = connection.to_send().len();
                connection.sent(count);
            }
            Next::Refused(fault) => return (seen, Some(fault)),
            Next::Closed => return (seen, None),
            Next::Pending => receive(&mut connection),
        }
    }
}

fn status_of(bytes: &[u8]) -> Option<u16> {
    read(bytes, usize::MAX, Limits::default()).1.map(Fault::status)
}

const GOOD: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET /a?b=c&d HTTP/1.1\r\nHost: a:80\r\nX:\r\nY: \t v w\t \r\n\r\n",
    "POST / HTTP/1.1\r\nhost: [::1]:8080\r\ncontent-length: 11\r\n\r\nhello world",
    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\nGET /next HTTP/1.1\r\nhost: a\r\n\r\n",
    "PUT /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0000a;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
    "PUT /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\nX-sum: 2\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nhost:\r\n\r\n",
    "GET http://A.example:80/x HTTP/1.1\r\nhost: a.example:80\r\n\r\n",
    "GET HTTP://a HTTP/1.1\r\nhost: A\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "BREW /pot HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\nconnection: keep-alive, close\r\n\r\nGET /unseen HTTP/1.0\r\n\r\n",
];

/// How the bytes arrive says nothing about what they mean.
#[test]
fn torn_is_as_whole() {
    for request in GOOD.iter().map(|text| text.as_bytes()).chain(BAD.iter().map(|(_, text)| text.as_bytes())) {
        let whole = read(request, usize::MAX, Limits::default());
        for piece in 1..10 {
            assert_eq!(read(request, piece, Limits::default()), whole, "{piece}: {}", request.escape_ascii());
        }
    }
}

#[test]
fn good_requests() {
    let counts = [1, 1, 1, 2, 1, 2, 1, 1, 1, 1, 2];
    for (request, count) in GOOD.iter().zip(counts) {
        let (seen, fault) = read(request.as_bytes(), usize::MAX, Limits::default());
        assert_eq!((seen.len(), fault), (count, None), "{request:?}: {seen:?}");
    }
    let (seen, _) = read(GOOD[1].as_bytes(), 3, Limits::default());
    assert_eq!(seen, [r#"GET /a?b=c&d a:80 {"host": "a:80", "x": "", "y": "v w"} "" None"#]);
    let (seen, _) = read(GOOD[5].as_bytes(), 3, Limits::default());
    assert!(seen[0].ends_with(r#""" Some({"x-sum": "1", "x-sum": "2"})"#), "{seen:?}");
}

/// Forms that two readers could read differently, and forms that are none.
const BAD: &[(u16, &str)] = &[
    // Where does the body end?
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551616\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n0\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    // Where does a line end?
    (400, "GET / HTTP/1.1\nhost: a\n\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\n\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\rx: y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\n x: folded\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n\tfolded\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\n host: a\r\n\r\n"),
    // Which field is it?
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length : 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding\t: chunked\r\n\r\n0\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\n: no name\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nx\0y: z\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nx: y\0z\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nx: \x7f\r\n\r\n"),
    // Where does a chunk end?
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;\rx\r\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10000000000000000\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n;\r\n\r\n"),
    (413, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nhost: b\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 1\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\n\r\n"),
    // Who is asked?
    (400, "GET / HTTP/1.1\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a:65536\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: [::1\r\n\r\n"),
    (400, "GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n"),
    (400, "GET http:///x HTTP/1.1\r\nhost:\r\n\r\n"),
    (400, "GET http://a@b/x HTTP/1.1\r\nhost: a@b\r\n\r\n"),
    (400, "GET https://a/ HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET x HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET * HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET /#x HTTP/1.1\r\nhost: a\r\n\r\n"),
    (501, "CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n"),
    // What is it at all?
    (400, "GET  / HTTP/1.1\r\nhost: a\r\n\r\n"),
    (505, "GET / x HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET /\t HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET /\u{7f} HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET /\u{e9} HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "G(T / HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, " GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET /\r\n\r\n"),
    (400, "\x16\x03\x01\x02\0\x01\0"),
    (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (505, "GET / HTTP/1.2\r\nhost: a\r\n\r\n"),
    (417, "POST / HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\ncontent-length: 1\r\n\r\nx"),
];

#[test]
fn bad_requests() {
    for (status, request) in BAD {
        assert_eq!(status_of(request.as_bytes()), Some(*status), "{request:?}");
    }
}

/// A head that ends early is no request: the client went away. A body that does is a fault.
#[test]
fn ends_within_messages() {
    assert_eq!(read(b"GET / HTTP/1.1\r\nhost", 4, Limits::default()), (vec![], None));
    let cut = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhell";
    assert_eq!(read(cut, 4, Limits::default()), (vec![], Some(Fault::Incomplete)));
    let cut = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhell\r\n";
    assert_eq!(read(cut, 4, Limits::default()), (vec![], Some(Fault::Incomplete)));
}

/// Heads and bodies exactly as large as is allowed are taken, and one byte more is not; nor does a flood without an end fill memory.
#[test]
fn limits_are_exact() {
    let head = |bytes: usize| {
        let rest = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(bytes - rest)).into_bytes()
    };
    for most in [100, 5000, 100_000] {
        let limits = Limits { max_head_bytes: most, max_body_bytes: 10 };
        for piece in [1, 1000, usize::MAX] {
            let (seen, fault) = read(&head(most), piece, limits);
            assert_eq!((seen.len(), fault), (1, None), "{most} in pieces of {piece}");
            assert_eq!(read(&head(most + 1), piece, limits), (vec![], Some(Fault::HeadTooLarge)));
            let target = [b"GET /".to_vec(), vec![b'x'; most]].concat();
            assert_eq!(read(&target, piece, limits), (vec![], Some(Fault::TargetTooLong)));
        }
    }
    let many = |count: usize| {
        let fields: String = (0..count).map(|at| format!("x{at}: y\r\n")).collect();
        format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n").into_bytes()
    };
    assert_eq!(status_of(&many(MAX_FIELDS - 1)), None);
    assert_eq!(status_of(&many(MAX_FIELDS)), Some(431));

    let limits = Limits { max_head_bytes: 200, max_body_bytes: 10 };
    let post =
        |framing: &str, body: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{body}").into_bytes();
    let status = |request: Vec<u8>| read(&request, usize::MAX, limits).1.map(Fault::status);
    assert_eq!(status(post("content-length: 10", "0123456789")), None);
    assert_eq!(status(post("content-length: 11", "0123456789")), Some(413));
    let chunked = "transfer-encoding: chunked";
    assert_eq!(status(post(chunked, "5\r\n01234\r\n5\r\n01234\r\n0\r\n\r\n")), None);
    assert_eq!(status(post(chunked, "5\r\n01234\r\n6\r\n01234\r\n0\r\n\r\n")), Some(413));
    assert_eq!(status(post(chunked, &format!("0\r\nx: {}\r\n\r\n", "y".repeat(200)))), Some(431));
    assert_eq!(status(post(chunked, &format!("0\r\n{}\r\n", "x: y\r\n".repeat(MAX_FIELDS + 1)))), Some(431));
    assert_eq!(status(post(chunked, &format!("1;{}\r\nx\r\n0\r\n\r\n", "y".repeat(300)))), Some(400));
}

/// What the handler does not read stays where it is: the room for more runs out, and comes back.
#[test]
fn unread_bodies_hold_up_the_client() {
    let mut connection = Connection::new(Limits::default());
    feed(&mut connection, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
    assert!(matches!(connection.next_request(), Next::Request(_)));
    let (mut fed, mut took) = (0, 0);
    loop {
        let space = connection.space().len();
        if space == 0 {
            break;
        }
        connection.filled(space);
        fed += space;
    }
    assert!(fed <= 64 << 10, "{fed}");
    while let Body::Data(data) = connection.body(1000) {
        assert!(data.len() <= 1000);
        took += data.len();
    }
    assert_eq!(fed, took);
    assert!(!connection.space().is_empty());
}

/// A body may go past the buffer into the app's memory, but never more of it than there is.
#[test]
fn bodies_past_the_buffer() {
    let mut connection = Connection::new(Limits::default());
    feed(&mut connection, b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\na\r\n01234");
    assert!(matches!(connection.next_request(), Next::Request(_)));
    assert_eq!(connection.body_direct(), 0, "the chunk's line is still to be read");
    assert!(matches!(connection.body(100), Body::Data(b"01234")));
    assert_eq!(connection.body_direct(), 5);
    connection.body_received(3);
    assert_eq!(connection.body_direct(), 2);
    connection.body_received(2);
    assert_eq!(connection.body_direct(), 0);
    feed(&mut connection, b"\r\n1\r\n!\r\n0\r\n\r\n");
    let (rest, trailers) = taken(&mut connection);
    assert_eq!((&rest[..], trailers), (&b"!"[..], Some(None)));
}

#[test]
fn methods_and_versions() {
    let mut connection = Connection::new(Limits::default());
    feed(&mut connection, b"PATCH / HTTP/1.0\r\n\r\n");
    let Next::Request(head) = connection.next_request() else { panic!() };
    assert_eq!((head.method, head.version, head.authority), (Method::Patch, Version::Http10, None));
    assert_eq!(Method::parse("get"), Some(Method::Other("get".into())));
    assert_eq!(Method::parse("a b"), None);
}
