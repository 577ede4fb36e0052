//! A server on hyper: tokio's current-thread runtime, or its multi-threaded one with `multi`. See ../contract.py.

use std::sync::atomic::{AtomicU32, Ordering};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

type Error = Box<dyn std::error::Error + Send + Sync>;

static COUNTED: AtomicU32 = AtomicU32::new(0);

/// File calls run in tokio's pool of blocking threads.
async fn file() -> std::io::Result<String> {
    let path = std::env::temp_dir().join(format!("request-{}", std::process::id()));
    let mut file = tokio::fs::File::options().read(true).write(true).create_new(true).open(&path).await?;
    file.write_all(b"written by a request").await?;
    file.rewind().await?;
    let mut text = String::new();
    file.read_to_string(&mut text).await?;
    tokio::fs::remove_file(&path).await?;
    Ok(text + ", 0 before")
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Error> {
    let (parts, body) = request.into_parts();
    let (status, body) = match (parts.method, parts.uri.path()) {
        (Method::GET, "/count") => (200, (COUNTED.fetch_add(1, Ordering::SeqCst) + 1).to_string().into()),
        (Method::POST, "/echo") => (200, body.collect().await?.to_bytes()),
        (Method::GET, "/large") => (200, b"0123456789abcdef".repeat(65536).into()),
        (Method::GET, "/file") => (200, file().await?.into()),
        _ => (404, "nothing here".into()),
    };
    Ok(Response::builder().status(status).body(Full::new(body))?)
}

async fn serve() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes away in the middle is nothing to stop for.
            let _ = connection.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

fn main() -> Result<(), Error> {
    let multi = std::env::args().any(|argument| argument == "multi");
    let mut runtime = match multi {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    if multi {
        runtime.worker_threads(3);
    }
    // The listener's task, too, is one of the workers'.
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async { tokio::spawn(serve()).await? })
}
