//! A small site in Rust on WASI 0.3 (crate `wasip3`). What it answers is in ../../README.md.
//!
//! ```text
//!   request -> handle -> page (made here)       -> answer, its body written by a task of its own
//!                     -> file below /site       -> answer, its body the file's own stream
//! ```

use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, DescriptorType, OpenFlags, PathFlags};
use wasip3::http::types::{ErrorCode, Fields, Method, Request, Response};
use wasip3::wit_bindgen::{StreamReader, spawn_local};
use wasip3::{wit_future, wit_stream};

/// Where the site's files are.
const SITE: &str = "/site";
/// What `/` stands for.
const INDEX: &str = "index.html";

wasip3::http::service::export!(Web);

struct Web;

impl wasip3::exports::http::handler::Guest for Web {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let has_body = match request.get_method() {
            Method::Get => true,
            Method::Head => false,
            _ => {
                let mut head = Head::new(405, "text/plain; charset=utf-8");
                head.add("allow", "GET, HEAD");
                return head.with_text("method not allowed\n".into(), true);
            }
        };
        let target = request.get_path_with_query().unwrap_or_else(|| "/".into());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if path == "/hello" {
            return Head::new(200, HTML).with_text(hello(query), has_body);
        }
        match open(path).await {
            Some(file) => file.answer(has_body),
            None => Head::new(404, HTML).with_text(page("Not found", "<p>There is no such page.</p>"), has_body),
        }
    }
}

const HTML: &str = "text/html; charset=utf-8";

/// The page that greets.
fn hello(query: &str) -> String {
    let name = query.split('&').find_map(|pair| pair.strip_prefix("name=")).map(decode).unwrap_or_default();
    let name = if name.trim().is_empty() { "stranger".to_owned() } else { escape(&name) };
    page("Hello", &format!("<p>Hello, {name}!</p>"))
}

fn page(title: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{content}\n\
         <p><a href=\"/\">Back</a></p>\n</main>\n</body>\n</html>\n"
    )
}

/// A value of a form, as browsers encode it. What is no text in UTF-8 is replaced.
fn decode(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = behind.first_chunk::<2>().and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = hex.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        (rest, _) = match escaped {
            Some(byte) => (&behind[2..], bytes.push(byte)),
            None => (behind, bytes.push(if first == b'+' { b' ' } else { first })),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text, safe inside of HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A file of the site.
struct File {
    descriptor: Descriptor,
    kind: &'static str,
    size: u64,
}

/// The file that a path of a request names.
async fn open(path: &str) -> Option<File> {
    let (site, _) = preopens::get_directories().into_iter().find(|(_, name)| name == SITE)?;
    let path = match path.trim_start_matches('/') {
        "" => INDEX,
        path => path,
    };
    // The filesystem lets nobody out of the directory; this says so before it is asked.
    if path.split('/').any(|name| name.is_empty() || name.starts_with('.')) {
        return None;
    }
    let flags = (PathFlags::empty(), OpenFlags::empty(), DescriptorFlags::READ);
    let descriptor = site.open_at(flags.0, path.to_owned(), flags.1, flags.2).await.ok()?;
    let stat = descriptor.stat().await.ok()?;
    let is_file = matches!(stat.type_, DescriptorType::RegularFile);
    is_file.then(|| File { descriptor, kind: media_type(path), size: stat.size })
}

impl File {
    /// The answer with this file: its stream is the body, and no byte of it passes through here.
    fn answer(self, has_body: bool) -> Result<Response, ErrorCode> {
        let mut head = Head::new(200, self.kind);
        head.add("content-length", &self.size.to_string());
        let body = has_body.then(|| self.descriptor.read_via_stream(0).0);
        head.with_body(body)
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => HTML,
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Status and fields of an answer.
struct Head {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    fn new(status: u16, media_type: &str) -> Self {
        let mut head = Self { status, fields: Vec::new() };
        head.add("content-type", media_type);
        head
    }

    fn add(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    /// The answer with this text, or, for `HEAD`, with what is told of it.
    fn with_text(mut self, text: String, has_body: bool) -> Result<Response, ErrorCode> {
        self.add("content-length", &text.len().to_string());
        if !has_body {
            return self.with_body(None);
        }
        let (mut writer, reader) = wit_stream::new();
        // The body is taken when the answer is sent, which is after this returns.
        spawn_local(async move {
            // A client that went away leaves a rest, and there is nobody to tell.
            writer.write_all(text.into_bytes()).await;
        });
        self.with_body(Some(reader))
    }

    fn with_body(self, body: Option<StreamReader<u8>>) -> Result<Response, ErrorCode> {
        let internal = |what: &str| ErrorCode::InternalError(Some(what.to_owned()));
        let fields = Fields::from_list(&self.fields).map_err(|_| internal("fields that are not allowed"))?;
        let (_, trailers) = wit_future::new(|| Ok(None));
        let (response, _sent) = Response::new(fields, body, trailers);
        response.set_status_code(self.status).map_err(|()| internal("a status that is not allowed"))?;
        Ok(response)
    }
}
