//! What a server sends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{feed, sent, taken};
use mwasm_http::server::{Connection, Next};
use mwasm_http::{Body, BodyLength, Date, Headers, Limits, SendError};

/// A connection on which these bytes have come.
fn connection(bytes: &[u8]) -> Connection {
    let mut connection = Connection::new(Limits::default());
    feed(&mut connection, bytes);
    connection
}

/// One on which a request was read.
fn asked(head: &str) -> Connection {
    let mut connection = connection(format!("{head}\r\n\r\n").as_bytes());
    assert!(matches!(connection.next_request(), Next::Request(_)));
    connection
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.append(name, value.as_bytes()).unwrap();
    }
    headers
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a";
const GET10: &str = "GET / HTTP/1.0";
const KEEP10: &str = "GET / HTTP/1.0\r\nconnection: keep-alive";
const CLOSE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: x, CLOSE";
const HEAD: &str = "HEAD / HTTP/1.1\r\nhost: a";

/// The body is there before anything is sent: its length is known, whatever the app said.
#[test]
fn bodies_that_are_there_at_once() {
    let plain = "content-length: 5\r\n\r\nhello";
    for (request, status, length, wanted) in [
        (GET, 200, BodyLength::Unknown, format!("HTTP/1.1 200 OK\r\nx: y\r\n{plain}")),
        (GET, 404, BodyLength::Known(5), format!("HTTP/1.1 404 Not Found\r\nx: y\r\n{plain}")),
        (
            GET10,
            299,
            BodyLength::Unknown,
            "HTTP/1.1 299 \r\nx: y\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello".into(),
        ),
        (
            KEEP10,
            200,
            BodyLength::Unknown,
            "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello".into(),
        ),
        (
            CLOSE,
            200,
            BodyLength::Known(5),
            "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello".into(),
        ),
        (HEAD, 200, BodyLength::Known(5), "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 5\r\n\r\n".into()),
        (HEAD, 200, BodyLength::Unknown, "HTTP/1.1 200 OK\r\nx: y\r\n\r\n".into()),
        (GET, 204, BodyLength::Known(5), "HTTP/1.1 204 No Content\r\nx: y\r\n\r\n".into()),
        (GET, 304, BodyLength::Known(5), "HTTP/1.1 304 Not Modified\r\nx: y\r\ncontent-length: 5\r\n\r\n".into()),
    ] {
        let mut connection = asked(request);
        connection.respond(status, &headers(&[("x", "y")]), length, None).unwrap();
        assert_eq!(connection.send_body(b"hello"), Ok(5));
        connection.finish(None).unwrap();
        assert_eq!(sent(&mut connection), wanted);
        let closes = request == GET10 || request == CLOSE;
        assert_eq!(matches!(connection.next_request(), Next::Closed), closes, "{request}");
    }
}

/// Sending before the body is finished shows its length to be unknown.
#[test]
fn bodies_that_come_in_pieces() {
    for (request, first, rest, trailers) in [
        (GET, "transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n", "1\r\nl\r\n2\r\nlo\r\n0\r\n", "x-sum: 1\r\n\r\n"),
        (
            CLOSE,
            "transfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nhe\r\n",
            "1\r\nl\r\n2\r\nlo\r\n0\r\n",
            "x-sum: 1\r\n\r\n",
        ),
        (KEEP10, "connection: close\r\n\r\nhe", "llo", ""),
        (HEAD, "\r\n", "", ""),
    ] {
        let mut connection = asked(request);
        connection.respond(200, &Headers::new(), BodyLength::Unknown, None).unwrap();
        connection.send_body(b"he").unwrap();
        assert_eq!(sent(&mut connection), format!("HTTP/1.1 200 OK\r\n{first}"));
        connection.send_body(b"l").unwrap();
        connection.send_body(b"").unwrap();
        connection.send_body(b"lo").unwrap();
        connection.finish(Some(&headers(&[("x-sum", "1")]))).unwrap();
        assert_eq!(sent(&mut connection), format!("{rest}{trailers}"));
        assert_eq!(matches!(connection.next_request(), Next::Closed), request == CLOSE || request == KEEP10);
    }
}

/// Trailers need chunks, even if the body is there at once; to HTTP/1.0 they cannot be sent.
#[test]
fn trailers_make_chunks() {
    let answer = |request| {
        let mut connection = asked(request);
        connection.respond(200, &Headers::new(), BodyLength::Unknown, None).unwrap();
        connection.send_body(b"hello world, hello").unwrap();
        connection.finish(Some(&headers(&[("x", "y")]))).unwrap();
        sent(&mut connection)
    };
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n12\r\nhello world, hello\r\n0\r\nx: y\r\n\r\n";
    assert_eq!(answer(GET), chunked);
    assert_eq!(
        answer(KEEP10),
        "HTTP/1.1 200 OK\r\ncontent-length: 18\r\nconnection: keep-alive\r\n\r\nhello world, hello"
    );
}

#[test]
fn content_length_of_the_app() {
    let respond = |length: &[(&str, &str)], known| asked(GET).respond(200, &headers(length), known, None);
    assert_eq!(respond(&[("Content-Length", "5")], BodyLength::Known(6)), Err(SendError::ContentLength));
    assert_eq!(respond(&[("Content-Length", "x")], BodyLength::Unknown), Err(SendError::ContentLength));
    let twice = [("Content-Length", "5"), ("content-length", "5")];
    assert_eq!(respond(&twice, BodyLength::Unknown), Err(SendError::ContentLength));

    let five = headers(&[("Content-Length", "5")]);
    let mut connection = asked(GET);
    connection.respond(200, &five, BodyLength::Unknown, None).unwrap();
    connection.send_body(b"hel").unwrap();
    assert_eq!(connection.send_body(b"lo!"), Err(SendError::Length));
    assert_eq!(connection.finish(None), Err(SendError::Length));
    connection.send_body(b"lo").unwrap();
    connection.finish(None).unwrap();
    assert_eq!(sent(&mut connection), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");

    // HEAD says what GET would have.
    let mut connection = asked(HEAD);
    connection.respond(200, &five, BodyLength::None, None).unwrap();
    connection.finish(None).unwrap();
    assert_eq!(sent(&mut connection), "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    let mut connection = asked(GET);
    connection.respond(200, &Headers::new(), BodyLength::None, None).unwrap();
    connection.finish(None).unwrap();
    assert_eq!(sent(&mut connection), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

/// What the app may not send leaves no trace, and another answer can be given.
#[test]
fn refused_answers_can_be_mended() {
    let mut connection = asked(GET);
    for name in ["Connection", "transfer-encoding", "upgrade", "Host", "keep-alive", "te"] {
        let answer = headers(&[("x", "y"), (name, "z")]);
        assert_eq!(connection.respond(200, &answer, BodyLength::Unknown, None), Err(SendError::Forbidden));
    }
    for status in [0, 99, 100, 101, 199, 1000] {
        assert_eq!(connection.respond(status, &Headers::new(), BodyLength::None, None), Err(SendError::Status));
    }
    connection.respond(500, &Headers::new(), BodyLength::Unknown, None).unwrap();
    assert_eq!(connection.respond(200, &Headers::new(), BodyLength::Unknown, None), Err(SendError::State));
    assert_eq!(connection.finish(Some(&headers(&[("content-length", "1")]))), Err(SendError::Forbidden));
    connection.finish(None).unwrap();
    assert_eq!(connection.finish(None), Err(SendError::State));
    assert_eq!(sent(&mut connection), "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn dates() {
    let date = Date::new(784_111_777);
    let mut connection = asked(GET);
    connection.respond(204, &Headers::new(), BodyLength::None, Some(&date)).unwrap();
    connection.finish(None).unwrap();
    assert_eq!(sent(&mut connection), "HTTP/1.1 204 No Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    let mut connection = asked(GET);
    connection.respond(204, &headers(&[("Date", "today")]), BodyLength::None, Some(&date)).unwrap();
    connection.finish(None).unwrap();
    assert_eq!(sent(&mut connection), "HTTP/1.1 204 No Content\r\nDate: today\r\n\r\n");
}

/// Requests that come at once are answered in their order, and the answers leave at once.
#[test]
fn pipelined_requests() {
    let requests: String = (0..100).map(|at| format!("GET /{at} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    let mut connection = connection(requests.as_bytes());
    for at in 0..100 {
        let Next::Request(head) = connection.next_request() else { panic!("request {at}") };
        assert_eq!(head.path, format!("/{at}"));
        assert!(matches!(connection.next_request(), Next::Pending), "the answer comes first");
        connection.respond(200, &Headers::new(), BodyLength::Unknown, None).unwrap();
        connection.send_body(head.path.as_bytes()).unwrap();
        connection.finish(None).unwrap();
    }
    assert!(matches!(connection.next_request(), Next::Pending));
    assert!(!connection.is_idle());
    assert_eq!(sent(&mut connection).matches("HTTP/1.1 200 OK\r\n").count(), 100);
    assert!(connection.is_idle());
}

const EXPECTS: &str = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 5";

/// The client is asked for its body when the handler wants it, once.
#[test]
fn bodies_that_wait_to_be_asked_for() {
    let mut connection = asked(EXPECTS);
    assert!(connection.is_flushed());
    assert!(matches!(connection.body(9), Body::Pending));
    assert_eq!(sent(&mut connection), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(matches!(connection.body(9), Body::Pending));
    assert!(connection.is_flushed());
    feed(&mut connection, b"hello");
    assert_eq!(taken(&mut connection).0, b"hello");
    connection.respond(204, &Headers::new(), BodyLength::None, None).unwrap();
    connection.finish(None).unwrap();
    assert_eq!(sent(&mut connection), "HTTP/1.1 204 No Content\r\n\r\n");
    assert!(matches!(connection.next_request(), Next::Pending));

    // It did not wait.
    let mut connection = asked(EXPECTS);
    feed(&mut connection, b"hel");
    assert!(matches!(connection.body(9), Body::Data(b"hel")));
    assert!(connection.is_flushed());

    // The handler does not want it: whether it will come is not known.
    let mut connection = asked(EXPECTS);
    connection.respond(403, &Headers::new(), BodyLength::None, None).unwrap();
    assert!(matches!(connection.body(9), Body::Pending));
    connection.finish(None).unwrap();
    assert_eq!(sent(&mut connection), "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(matches!(connection.next_request(), Next::Closed));
}

/// A small body that nobody read is skipped; a large one ends the connection.
#[test]
fn unread_bodies() {
    let answer = |connection: &mut Connection| {
        connection.respond(204, &Headers::new(), BodyLength::None, None).unwrap();
        connection.finish(None).unwrap();
        connection.next_request()
    };
    let mut connection = asked("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5");
    assert!(matches!(answer(&mut connection), Next::Pending));
    feed(&mut connection, b"helloGET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(matches!(connection.next_request(), Next::Request(_)));
    let mut connection = asked("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000");
    assert!(matches!(answer(&mut connection), Next::Closed));

    let mut connection = asked("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked");
    assert!(matches!(answer(&mut connection), Next::Pending));
    let chunk = [b"1000\r\n".to_vec(), vec![b'x'; 0x1000], b"\r\n".to_vec()].concat();
    let mut chunks = 0;
    while let Next::Pending = connection.next_request() {
        feed(&mut connection, &chunk);
        chunks += 1;
    }
    assert!((64..100).contains(&chunks), "{chunks}");
}

/// A few words to a client that is refused; never into the middle of an answer.
#[test]
fn rejections() {
    let mut waiting = connection(b"GET");
    assert!(matches!(waiting.next_request(), Next::Pending));
    assert!(!waiting.is_idle());
    assert!(waiting.reject(408, "too slow", Some(&Date::new(0))));
    assert!(!waiting.reject(408, "too slow", None));
    assert!(matches!(waiting.next_request(), Next::Closed));
    let wanted = "HTTP/1.1 408 Request Timeout\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo slow\n";
    assert_eq!(sent(&mut waiting), wanted);

    let mut head = asked(HEAD);
    assert!(head.reject(503, "busy", None));
    assert!(sent(&mut head).ends_with("connection: close\r\n\r\n"));

    let mut answered = asked(GET);
    answered.respond(200, &Headers::new(), BodyLength::Unknown, None).unwrap();
    assert!(!answered.reject(500, "the app failed", None));

    let mut idle = Connection::new(Limits::default());
    assert!(idle.is_idle());
    idle.close_after();
    assert!(matches!(idle.next_request(), Next::Closed));
    let mut last = asked(GET);
    last.close_after();
    last.respond(204, &Headers::new(), BodyLength::None, None).unwrap();
    last.finish(None).unwrap();
    assert_eq!(sent(&mut last), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    assert!(matches!(last.next_request(), Next::Closed));
}

/// What is not sent stays bounded, and large bodies can go past the buffer.
#[test]
fn slow_readers_hold_up_the_app() {
    let mut connection = asked(GET);
    connection.respond(200, &Headers::new(), BodyLength::Known(1 << 20), None).unwrap();
    assert_eq!(connection.direct(), 0, "the head comes first");
    let data = vec![b'x'; 1 << 20];
    let taken = connection.send_body(&data).unwrap();
    assert!(taken > 0 && taken <= 32 << 10, "{taken}");
    assert_eq!((connection.send_body(&data[taken..]), connection.room()), (Ok(0), 0));
    connection.to_send();
    connection.sent(100);
    assert_eq!(connection.room(), 100);
    let rest = connection.to_send().len();
    connection.sent(rest);
    let left = (data.len() - taken) as u64;
    assert_eq!(connection.direct(), left);
    connection.sent_direct(left);
    connection.finish(None).unwrap();
}
