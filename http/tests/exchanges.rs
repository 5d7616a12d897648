//! A client and a server of this crate talking to each other, and clients of answers that others could send.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use mwasm_http::client::{self, Next as Answer};
use mwasm_http::server::{self, Next as Request};
use mwasm_http::{Body, BodyLength, Fault, Headers, Limits, Method, RequestHead, SendError};
use proptest::prelude::*;

/// A message as an app sees it.
#[derive(Clone, Debug, PartialEq)]
struct Message {
    headers: Headers,
    body: Vec<u8>,
    length: BodyLength,
    trailers: Option<Headers>,
}

/// Moves at most `most` bytes from one buffer to the other.
fn carry(from: &[u8], to: &mut [u8], most: usize) -> usize {
    let count = from.len().min(to.len()).min(most);
    to[..count].copy_from_slice(&from[..count]);
    count
}

/// One side's sending of a message, a piece of its body at a time. `None` as body: finished.
struct Sending<'a> {
    rest: Option<&'a [u8]>,
    trailers: Option<&'a Headers>,
    piece: usize,
}

impl<'a> Sending<'a> {
    fn new(message: &'a Message, piece: usize) -> Self {
        Self { rest: Some(&message.body), trailers: message.trailers.as_ref(), piece }
    }
}

macro_rules! go_on {
    ($sending:expr, $connection:expr) => {
        if let Some(rest) = $sending.rest {
            if rest.is_empty() {
                $connection.finish($sending.trailers).unwrap();
                $sending.rest = None;
            } else {
                let taken = $connection.send_body(&rest[..rest.len().min($sending.piece)]).unwrap();
                $sending.rest = Some(&rest[taken..]);
            }
        }
    };
}

macro_rules! receive {
    ($connection:expr, $into:expr, $whole:expr, $piece:expr) => {
        match $connection.body($piece) {
            Body::Data(data) => $into.body.extend_from_slice(data),
            Body::Pending => {}
            Body::Failed(fault) => panic!("{fault}"),
            Body::End(trailers) => {
                $into.trailers = trailers;
                $whole = true;
            }
        }
    };
}

/// Sends the requests one after the other over one connection and answers them; pieces of `step` bytes at most go over the wire, and of
/// `piece` bytes to and from the apps. What was seen on both sides.
fn talk(exchanges: &[(Message, Message)], step: usize, piece: usize) -> Vec<(Message, Message)> {
    let limits = Limits { max_head_bytes: 8 << 10, max_body_bytes: 1 << 20 };
    let (mut client, mut server) = (client::Connection::new(limits), server::Connection::new(limits));
    let mut seen = Vec::new();
    for (request, answer) in exchanges {
        assert!(client.is_reusable());
        let method = Method::Post;
        let head = RequestHead {
            method,
            authority: Some("a:80".into()),
            path: "/x?y".into(),
            headers: request.headers.clone(),
            ..Default::default()
        };
        client.request(&head, request.length).unwrap();
        let (mut asking, mut answering) = (Sending::new(request, piece), None::<Sending>);
        let blank = Message { body: vec![], headers: Headers::new(), length: BodyLength::Unknown, trailers: None };
        let (mut asked, mut answered) = (blank.clone(), blank);
        let (mut request_whole, mut answer_whole, mut answer_began) = (false, false, false);
        let mut turns = 0;
        while !(request_whole && answer_whole && answering.as_ref().is_some_and(|answering| answering.rest.is_none())) {
            turns += 1;
            assert!(turns < 1_000_000, "they wait for each other: {client:?} {server:?}");
            go_on!(asking, client);
            let count = carry(client.to_send(), server.space(), step);
            client.sent(count);
            server.filled(count);
            match &mut answering {
                None => match server.next_request() {
                    Request::Request(head) => {
                        assert_eq!((head.method, &*head.path), (Method::Post, "/x?y"));
                        asked.headers = head.headers;
                        server.respond(200, &answer.headers, answer.length, None).unwrap();
                        answering = Some(Sending::new(answer, piece));
                    }
                    Request::Pending => {}
                    other => panic!("{other:?}"),
                },
                // The handler reads all before it has said all, so nothing is thrown away.
                Some(answering) => {
                    if request_whole || answering.rest.is_some_and(|rest| !rest.is_empty()) {
                        go_on!(answering, server);
                    }
                    if !request_whole {
                        receive!(server, asked, request_whole, piece);
                    }
                }
            }
            let count = carry(server.to_send(), client.space(), step);
            server.sent(count);
            client.filled(count);
            if answer_began && !answer_whole {
                receive!(client, answered, answer_whole, piece);
            } else if !answer_began && let Answer::Response(head) = client.response() {
                (answered.headers, answer_began) = (head.headers, true);
            }
        }
        for message in [&mut asked, &mut answered] {
            for name in ["host", "content-length", "transfer-encoding"] {
                message.headers.remove(name);
            }
        }
        seen.push((asked, answered));
    }
    seen
}

prop_compose! {
    fn headers(most: usize)(fields in prop::collection::vec(("x-[a-zA-Z0-9!#$%&'*+.^_`|~-]{0,20}", "[!-~]([ -~\u{80}-\u{fff}\t]{0,40}[!-~])?"), 0..most)) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.append(&name, value.as_bytes()).unwrap();
        }
        headers
    }
}

prop_compose! {
    fn message()(headers in headers(20), body in prop::collection::vec(any::<u8>(), 0..100_000), trailers in headers(3), known in any::<bool>(), small in any::<bool>()) -> Message {
        let body = if small { body[..body.len().min(20)].to_vec() } else { body };
        let length = if known { BodyLength::Known(body.len() as u64) } else { BodyLength::Unknown };
        let trailers = Some(trailers).filter(|trailers| !known && !trailers.is_empty());
        Message { headers, body, length, trailers }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, failure_persistence: None, ..Default::default() })]

    /// What one side sends is what the other sees, however it is cut.
    #[test]
    fn what_is_sent_arrives(exchanges in prop::collection::vec((message(), message()), 1..4), step in 1usize..5000, piece in 1usize..50_000) {
        // Steps of a byte or two are for the small ones.
        let step = if exchanges.iter().any(|(a, b)| a.body.len() + b.body.len() > 1000) { step.max(200) } else { step % 50 + 1 };
        let seen = talk(&exchanges, step, piece.max(step / 4));
        for ((request, answer), (asked, answered)) in exchanges.iter().zip(&seen) {
            for (sent, seen) in [(request, asked), (answer, answered)] {
                prop_assert_eq!(&sent.headers, &seen.headers);
                prop_assert!(sent.body == seen.body, "{} and {} bytes", sent.body.len(), seen.body.len());
                prop_assert_eq!(&sent.trailers, &seen.trailers);
            }
        }
    }

    /// Nothing that a client sends makes a server panic or use more memory than its limits.
    #[test]
    fn arbitrary_bytes_to_a_server(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b' '), Just(b':')], 0..500), after in any::<bool>()) {
        let mut connection = server::Connection::new(Limits { max_head_bytes: 300, max_body_bytes: 100 });
        let start: &[u8] = if after { b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" } else { b"" };
        let bytes = [start, &bytes].concat();
        connection.space()[..bytes.len()].copy_from_slice(&bytes);
        connection.filled(bytes.len());
        connection.ended();
        while let Request::Request(_) = connection.next_request() {
            while let Body::Data(_) = connection.body(10) {}
            connection.respond(200, &Headers::new(), BodyLength::None, None).unwrap();
            connection.finish(None).unwrap();
        }
    }

    /// Nor does what a server sends harm a client.
    #[test]
    fn arbitrary_bytes_to_a_client(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b' '), Just(b':')], 0..500), after in any::<bool>()) {
        let start = if after { "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" } else { "" };
        let mut connection = asking(&[start.as_bytes(), &bytes].concat());
        connection.ended();
        if let Answer::Response(_) = connection.response() {
            while let Body::Data(_) = connection.body(10) {}
        }
        prop_assert!(!connection.is_reusable());
    }
}

fn request(method: Method) -> RequestHead {
    RequestHead { method, authority: Some("a".into()), path: "/".into(), ..Default::default() }
}

/// A client that has asked, and to which these bytes have come.
fn asking_with(method: Method, bytes: &[u8]) -> client::Connection {
    let mut connection = client::Connection::new(Limits { max_head_bytes: 1000, max_body_bytes: 1000 });
    connection.request(&request(method), BodyLength::None).unwrap();
    connection.finish(None).unwrap();
    let count = connection.to_send().len();
    connection.sent(count);
    connection.space()[..bytes.len()].copy_from_slice(bytes);
    connection.filled(bytes.len());
    connection
}

fn asking(bytes: &[u8]) -> client::Connection {
    asking_with(Method::Get, bytes)
}

/// Status, body and whether the connection can be used again.
fn answer(connection: &mut client::Connection) -> Result<(u16, String, bool), Fault> {
    let head = match connection.response() {
        Answer::Response(head) => head,
        Answer::Pending => panic!("the head is whole"),
        Answer::Failed(fault) => return Err(fault),
    };
    let mut body = Vec::new();
    loop {
        match connection.body(3) {
            Body::Data(data) => body.extend_from_slice(data),
            Body::Pending => connection.ended(),
            Body::End(_) => break,
            Body::Failed(fault) => return Err(fault),
        }
    }
    Ok((head.status, String::from_utf8(body).unwrap(), connection.is_reusable()))
}

#[test]
fn answers_of_others() {
    let ok = |status, body: &str, reusable| Ok((status, body.to_string(), reusable));
    for (bytes, wanted) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", ok(200, "hi", true)),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", ok(200, "", true)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi there", ok(200, "hi", false)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi", ok(200, "hi", false)),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", ok(200, "hi", false)),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nhi", ok(200, "hi", true)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", ok(200, "hi", true)),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", ok(200, "to the end", false)),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 204 No\r\n\r\n", ok(204, "", true)),
        ("HTTP/1.1 304 Not\r\ncontent-length: 10\r\n\r\n", ok(304, "", true)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", Err(400)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", Err(400)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi", Err(400)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nhi", Err(400)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\nhi", Err(501)),
        ("HTTP/1.1 200 OK\r\nx: y\r\n folded\r\n\r\nhi", Err(400)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n", Err(413)),
        ("HTTP/1.1 101 Switching\r\n\r\n", Err(400)),
        ("HTTP/1.1 099 Odd\r\n\r\n", Err(400)),
        ("HTTP/1.1 2x0 OK\r\n\r\n", Err(400)),
        ("HTTP/2.0 200 OK\r\n\r\n", Err(505)),
        ("SSH-2.0-OpenSSH_9.6\r\n", Err(400)),
    ] {
        assert_eq!(answer(&mut asking(bytes.as_bytes())).map_err(Fault::status), wanted, "{bytes:?}");
    }
    let mut head = asking_with(Method::Head, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n");
    assert_eq!(answer(&mut head), Ok((200, String::new(), true)));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(17);
    assert!(matches!(asking(interim.as_bytes()).response(), Answer::Failed(_)));
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001));
    assert_eq!(answer(&mut asking(long.as_bytes())), Err(Fault::BodyTooLarge));
    let mut gone = asking(b"HTTP/1.1 200");
    gone.ended();
    assert!(matches!(gone.response(), Answer::Failed(Fault::Incomplete)));
    assert_eq!(gone.request(&request(Method::Get), BodyLength::None), Err(SendError::State));
}

#[test]
fn requests_as_they_are_sent() {
    let sent = |method, length, body: &str| {
        let mut connection = client::Connection::new(Limits::default());
        connection.request(&request(method), length).unwrap();
        connection.send_body(body.as_bytes()).unwrap();
        connection.finish(None).unwrap();
        String::from_utf8(connection.to_send().to_vec()).unwrap()
    };
    assert_eq!(sent(Method::Get, BodyLength::None, ""), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(sent(Method::Get, BodyLength::Unknown, ""), "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(sent(Method::Get, BodyLength::Unknown, "x"), "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!(sent(Method::Post, BodyLength::None, ""), "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(sent(Method::Post, BodyLength::Unknown, ""), "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");

    let refused = |head: RequestHead| {
        let mut connection = client::Connection::new(Limits::default());
        let error = connection.request(&head, BodyLength::None).unwrap_err();
        assert!(connection.to_send().is_empty() && connection.is_reusable());
        error
    };
    for path in ["", "x", "*", "/a b", "/a\r\nx: y", "/#", "/\u{e9}"] {
        assert_eq!(refused(RequestHead { path: path.into(), ..request(Method::Get) }), SendError::Target, "{path:?}");
    }
    for authority in ["a b", "a\r\nx: y", "user@a", "a/b", "a:b"] {
        let head = RequestHead { authority: Some(authority.into()), ..request(Method::Get) };
        assert_eq!(refused(head), SendError::Target, "{authority:?}");
    }
    assert_eq!(refused(request(Method::Connect)), SendError::Target);
    let mut head = request(Method::Get);
    head.headers.append("host", b"other").unwrap();
    assert_eq!(refused(head), SendError::Forbidden);
}
