//! A proxy between a client and a store that does to answers what networks and busy stores do.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done to one request or its answer. Numbers are bytes of the body that pass.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Answers in the store's place: status, headers, body.
    Answer(u16, &'static str, &'static str),
    /// Resets the connection without an answer; the store sees nothing.
    Reset,
    /// Lets the store answer and resets the connection in the answer's place.
    LoseAnswer,
    /// Resets the connection within the body.
    ResetWithin(usize),
    /// Ends the connection within the body, as if that were all.
    CutWithin(usize),
    /// Gives a shorter body, and a shorter `Content-Length` with it.
    Shorten(usize),
    /// Stands still within the body.
    StallWithin(usize),
    /// Waits before the answer.
    Wait(Duration),
    /// Changes a bit of what is sent.
    Corrupt,
}

/// A request as the proxy saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    head: Vec<u8>,
    body: Vec<u8>,
}

type Matches = Box<dyn Fn(&Request) -> bool + Send>;

struct Rule {
    matches: Matches,
    fault: Fault,
    left: usize,
}

#[derive(Default)]
struct Script {
    rules: Vec<Rule>,
    seen: Vec<Request>,
}

/// A running proxy; it ends with the runtime.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

impl Proxy {
    /// Starts a proxy before a store.
    pub(crate) async fn start(store: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let script = Arc::clone(&shared);
                // A client that goes away is no failure of the proxy.
                tokio::spawn(async move { drop(serve(client, store, &script).await) });
            }
        });
        Self { address, script }
    }

    /// Does this to the next `times` requests that match, after what was asked for before.
    pub(crate) fn inject(
        &self,
        times: usize,
        fault: Fault,
        matches: impl Fn(&Request) -> bool + Send + 'static,
    ) {
        self.script.lock().unwrap().rules.push(Rule {
            matches: Box::new(matches),
            fault,
            left: times,
        });
    }

    /// Lets everything pass again; returns what it saw since the last time.
    pub(crate) fn clear(&self) -> Vec<Request> {
        std::mem::take(&mut *self.script.lock().unwrap()).seen
    }
}

/// Serves one connection until it ends.
async fn serve(
    mut client: TcpStream,
    store: SocketAddr,
    script: &Mutex<Script>,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(mut request) = read_request(&mut client, &mut buffer).await? {
        let fault = fault_of(&mut script.lock().unwrap(), &request);
        match &fault {
            Some(Fault::Reset) => return reset(client),
            Some(Fault::Answer(status, headers, body)) => {
                let body = if request.method == "HEAD" { "" } else { body };
                let head = format!("HTTP/1.1 {status} x\r\n{headers}");
                write(&mut client, head.as_bytes(), body.as_bytes(), body.len()).await?;
                continue;
            }
            Some(Fault::Corrupt) => {
                if let Some(byte) = request.body.last_mut() {
                    *byte ^= 1;
                }
            }
            Some(Fault::Wait(time)) => tokio::time::sleep(*time).await,
            _ => {}
        }
        let answer = ask(store, &request).await?;
        let whole = answer.body.len();
        match fault {
            Some(Fault::LoseAnswer) => return reset(client),
            Some(Fault::Shorten(most)) if !answer.is_bodiless => {
                let body = &answer.body[..whole.min(most)];
                write(&mut client, &answer.head, body, body.len()).await?;
            }
            Some(Fault::ResetWithin(most) | Fault::CutWithin(most) | Fault::StallWithin(most))
                if !answer.is_bodiless && whole > most =>
            {
                write(&mut client, &answer.head, &answer.body[..most], whole).await?;
                match fault {
                    Some(Fault::ResetWithin(_)) => {
                        // What was written must have arrived, or the reset overtakes it.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        return reset(client);
                    }
                    // Until the client loses its patience.
                    Some(Fault::StallWithin(_)) => drop(client.read(&mut [0]).await),
                    _ => {}
                }
                return Ok(());
            }
            _ if answer.is_bodiless => client.write_all(&answer.head_without_body()).await?,
            _ => write(&mut client, &answer.head, &answer.body, whole).await?,
        }
    }
    Ok(())
}

fn fault_of(script: &mut Script, request: &Request) -> Option<Fault> {
    script.seen.push(Request {
        body: Vec::new(),
        ..request.clone()
    });
    let rules = script.rules.iter_mut();
    let rule = rules
        .filter(|rule| rule.left > 0)
        .find(|rule| (rule.matches)(request))?;
    rule.left = rule.left.saturating_sub(1);
    Some(rule.fault.clone())
}

fn reset(client: TcpStream) -> std::io::Result<()> {
    client.set_zero_linger()
}

/// Writes an answer whose head has no length yet.
async fn write(
    client: &mut TcpStream,
    head: &[u8],
    body: &[u8],
    length: usize,
) -> std::io::Result<()> {
    let length = format!("content-length: {length}\r\n\r\n");
    let answer = [head, length.as_bytes(), body].concat();
    client.write_all(&answer).await
}

/// Reads a request; `None` at the end of the connection.
async fn read_request(
    client: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Request>> {
    let Some(head) = read_head(client, buffer).await? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let length = header(&text, "content-length").map_or(0, |text| text.parse().unwrap());
    let body = read_exactly(client, buffer, length).await?;
    Ok(Some(Request {
        method,
        target,
        head,
        body,
    }))
}

/// An answer, with its body in one piece.
struct Answer {
    /// Status and headers without those that frame the body.
    head: Vec<u8>,
    body: Vec<u8>,
    /// Whether it is one to HEAD or has no body by its status.
    is_bodiless: bool,
    length: Option<String>,
}

impl Answer {
    fn head_without_body(&self) -> Vec<u8> {
        let mut head = self.head.clone();
        if let Some(length) = &self.length {
            head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

async fn ask(store: SocketAddr, request: &Request) -> std::io::Result<Answer> {
    let mut store = TcpStream::connect(store).await?;
    let mut buffer = Vec::new();
    store.write_all(&request.head).await?;
    // A store may refuse a body before it has all of it.
    let sent = store.write_all(&request.body).await;
    let head = match read_head(&mut store, &mut buffer).await? {
        Some(head) => String::from_utf8_lossy(&head).into_owned(),
        None => {
            return Err(sent
                .err()
                .unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into()));
        }
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    let is_bodiless = request.method == "HEAD" || matches!(status, "204" | "304");
    let length = header(&head, "content-length");
    let body = match &length {
        _ if is_bodiless => Vec::new(),
        Some(length) => read_exactly(&mut store, &mut buffer, length.parse().unwrap()).await?,
        None if header(&head, "transfer-encoding").is_some() => {
            read_chunks(&mut store, &mut buffer).await?
        }
        None => {
            store.read_to_end(&mut buffer).await?;
            buffer
        }
    };
    let framing = ["content-length:", "transfer-encoding:", "connection:"];
    let lines = head.split_inclusive("\r\n").filter(|line| {
        let line = line.to_ascii_lowercase();
        line != "\r\n" && !framing.iter().any(|name| line.starts_with(name))
    });
    Ok(Answer {
        head: lines.collect::<String>().into_bytes(),
        body,
        is_bodiless,
        length,
    })
}

/// Reads until the empty line that ends a head.
async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(buffer.drain(..at + 4).collect()));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn read_exactly(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    length: usize,
) -> std::io::Result<Vec<u8>> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..length).collect())
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(at) = buffer.windows(2).position(|two| two == b"\r\n") {
                break buffer.drain(..at + 2).collect::<Vec<u8>>();
            }
            if stream.read_buf(buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        };
        let size = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let chunk = read_exactly(stream, buffer, size + 2).await?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    head.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}
