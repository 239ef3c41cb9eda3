//! One client with one connection, which it keeps.

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Asks one server over HTTP/1.1, one request after the other.
pub(crate) struct Client {
    target: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Headers of a request, as a Connect client in Go sends them.
const CONNECT: [(HeaderName, HeaderValue); 4] = [
    (
        HeaderName::from_static("connect-protocol-version"),
        HeaderValue::from_static("1"),
    ),
    (CONTENT_TYPE, HeaderValue::from_static("application/proto")),
    (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
    (
        USER_AGENT,
        HeaderValue::from_static("connect-go/1.19.1 (go1.26)"),
    ),
];

impl Client {
    pub(crate) fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            connection: None,
        }
    }

    /// Calls a method of the API with an encoded message.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        message: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = method.parse()?;
        request.headers_mut().extend(CONNECT);
        self.send(request).await
    }

    /// Gets a page, as JSON if it can be.
    pub(crate) async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = path.parse()?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        self.send(request).await
    }

    async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let host = HeaderValue::from_str(&self.target)?;
        request.headers_mut().insert(HOST, host);
        let connection = self.connected().await?;
        let response = connection.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?;
        Ok((status, body.to_bytes()))
    }

    /// Returns the connection, a new one if the server has closed it.
    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(open) = &mut self.connection
            && open.ready().await.is_err()
        {
            self.connection = None;
        }
        let open = match self.connection.take() {
            Some(open) => open,
            None => connect(&self.target).await?,
        };
        Ok(self.connection.insert(open))
    }
}

async fn connect(target: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(target)
        .await
        .with_context(|| format!("cannot connect to {target}"))?;
    stream.set_nodelay(true)?;
    let (open, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end shows in the next request.
    tokio::spawn(async move { drop(connection.await) });
    Ok(open)
}
