//! How many requests a second one core reads and answers without a network: `cargo run --release -p mwasm-http --example throughput`.
//! With an argument, that many requests and no more, for counting instructions.

use mwasm_http::server::{Connection, Next};
use mwasm_http::{BodyLength, Date, Headers, Limits};
use std::hint::black_box;
use std::time::Instant;

/// What wrk sends.
const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n";
/// What a browser sends.
const BROWSER: &[u8] = b"GET /static/site.css?v=12 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\nAccept: text/css,*/*;q=0.1\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nReferer: https://www.example.org/index.html\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nSec-Fetch-Dest: style\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\nPriority: u=2\r\n\r\n";

fn serve(request: &[u8], requests: u32) {
    let mut connection = Connection::new(Limits::default());
    let mut headers = Headers::new();
    let fields = [("content-type", &b"text/plain; charset=utf-8"[..]), ("cache-control", b"max-age=60")];
    if fields.iter().any(|(name, value)| headers.append(name, value).is_err()) {
        return;
    }
    let date = Date::new(784_111_777);
    for _ in 0..requests {
        let space = connection.space();
        space[..request.len()].copy_from_slice(black_box(request));
        connection.filled(request.len());
        let Next::Request(head) = connection.next_request() else { return };
        black_box(&head);
        let answered = connection.respond(200, &headers, BodyLength::Unknown, Some(&date)).is_ok()
            && connection.send_body(b"hello, world\n") == Ok(13)
            && connection.finish(None).is_ok();
        assert!(answered);
        let count = black_box(connection.to_send()).len();
        connection.sent(count);
    }
}

fn main() {
    let only = std::env::args().nth(1).and_then(|count| count.parse().ok());
    for (name, request) in [("small", SMALL), ("browser", BROWSER)] {
        let requests = only.unwrap_or(1_000_000);
        let start = Instant::now();
        serve(request, requests);
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{name}: {:.0} requests/s, {:.0} ns each",
            f64::from(requests) / seconds,
            seconds * 1e9 / f64::from(requests)
        );
    }
}
