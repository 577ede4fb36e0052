//! A server in std alone: a thread for each connection. See contract.py.

use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNTED: AtomicU32 = AtomicU32::new(0);

fn file() -> std::io::Result<String> {
    let path = std::env::temp_dir().join(format!("request-{}", std::process::id()));
    let mut file = std::fs::File::options().read(true).write(true).create_new(true).open(&path)?;
    file.write_all(b"written by a request")?;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    std::fs::remove_file(&path)?;
    Ok(text + ", 0 before")
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut request, mut length, mut keeping) = (String::new(), 0, "keep-alive");
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap_or(0);
                }
                if name.eq_ignore_ascii_case("connection") && value.trim() == "close" {
                    keeping = "close"; // who wants that closes it after the answer
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = request.split(' ');
        let (status, body) = match (words.next(), words.next()) {
            (Some("GET"), Some("/count")) => (200, (COUNTED.fetch_add(1, Ordering::SeqCst) + 1).to_string().into()),
            (Some("POST"), Some("/echo")) => (200, body),
            (Some("GET"), Some("/large")) => (200, b"0123456789abcdef".repeat(65536)),
            (Some("GET"), Some("/file")) => (200, file().unwrap_or_else(|error| error.to_string()).into()),
            _ => (404, b"nothing here".to_vec()),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Answer\r\nContent-Length: {length}\r\nConnection: {keeping}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
    }
}

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || drop(serve(stream)));
    }
    Ok(())
}
