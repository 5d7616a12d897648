//! Asks for web pages, on WASI 0.3 (crate `wasip3`). What it prints is in ../../README.md.

use wasip3::cli::{environment, stderr, stdout};
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::wit_bindgen::{FutureReader, StreamReader};
use wasip3::{wit_future, wit_stream};

wasip3::cli::command::export!(Fetch);

struct Fetch;

impl wasip3::exports::cli::run::Guest for Fetch {
    async fn run() -> Result<(), ()> {
        for url in environment::get_arguments().iter().skip(1) {
            match fetch(url).await {
                Ok((status, body)) => {
                    let text = [format!("{status}\n").as_bytes(), &body].concat();
                    write(text, stdout::write_via_stream).await.map_err(drop)?;
                }
                Err(error) => {
                    write(format!("{url}: {error:?}\n").into(), stderr::write_via_stream).await.map_err(drop)?;
                    return Err(());
                }
            }
        }
        Ok(())
    }
}

/// Hands the reading end of a stream to `take`, writes `bytes` to the other end, and waits for what `take` says of it.
async fn write<E: 'static>(
    bytes: Vec<u8>,
    take: impl FnOnce(StreamReader<u8>) -> FutureReader<Result<(), E>>,
) -> Result<(), E> {
    let (mut writer, reader) = wit_stream::new();
    let taken = take(reader);
    writer.write_all(bytes).await;
    drop(writer);
    taken.await
}

/// Status and body.
async fn fetch(url: &str) -> Result<(u16, Vec<u8>), ErrorCode> {
    let wrong = |()| ErrorCode::HttpRequestUriInvalid;
    let rest = url.strip_prefix("http://").ok_or(ErrorCode::HttpRequestUriInvalid)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (_, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = Request::new(Fields::new(), None, trailers, None);
    request.set_scheme(Some(&Scheme::Http)).map_err(wrong)?;
    request.set_authority(Some(authority)).map_err(wrong)?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(wrong)?;
    let response = client::send(request).await?;
    let status = response.get_status_code();
    let (_, taken) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, taken);
    let bytes = body.collect().await;
    // Whether the body was whole is told with its trailers.
    trailers.await?;
    Ok((status, bytes))
}
