//! How long connections live, seen by clients of HTTP/1 and of HTTP/2.

mod harness;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use harness::{Node, PATIENCE, fresh_address};
use proto::{push::v1::PushRequest, push::v1::pusher_service_client::PusherServiceClient};
use tonic::{Code, transport::Endpoint};

/// One connection of HTTP/1.
struct Http1 {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Http1 {
    fn connect(node: &Node) -> Self {
        let stream = TcpStream::connect(&node.http).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self {
            stream: BufReader::new(stream),
            host: node.http.clone(),
        }
    }

    /// Asks for a page; returns whether the connection goes on.
    fn get(&mut self) -> bool {
        let request = format!("GET /version HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        let written = self.stream.get_mut().write_all(request.as_bytes());
        written.expect("the connection is open");
        let mut goes_on = true;
        let mut length = 0;
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer");
        assert!(line.starts_with("HTTP/1.1 "), "{line:?}");
        loop {
            line.clear();
            self.stream.read_line(&mut line).expect("a header");
            let lower = line.trim().to_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            goes_on &= lower != "connection: close";
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        goes_on
    }

    fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0]).expect("closed in time") == 0
    }
}

#[tokio::test]
async fn an_old_connection_ends_with_an_answer_that_says_so() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flag = "-server.http-max-connection-age=1s";
    let node = Node::start(fresh_address(), dir.path(), &[flag]);
    let mut connection = Http1::connect(&node);
    let started = Instant::now();
    let mut answers = 0;
    while connection.get() {
        answers += 1;
        std::thread::sleep(Duration::from_millis(20));
        assert!(started.elapsed() < PATIENCE, "it goes on for ever");
    }
    assert!(connection.is_closed());
    let age = started.elapsed();
    assert!(age >= Duration::from_millis(800), "{age:?}");
    assert!(answers > 1, "{answers}");
}

#[tokio::test]
async fn idle_connections_and_unfinished_heads_are_closed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flags = [
        "-server.http-idle-timeout=500ms",
        "-server.http-read-timeout=2s",
    ];
    let node = Node::start(fresh_address(), dir.path(), &flags);
    let mut idle = Http1::connect(&node);
    assert!(idle.get());
    let started = Instant::now();
    assert!(idle.is_closed());
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(400), "{elapsed:?}");

    let flags = [
        "-server.http-idle-timeout=1h",
        "-server.http-read-timeout=300ms",
    ];
    let dir = tempfile::tempdir().expect("a temporary folder");
    let node = Node::start(fresh_address(), dir.path(), &flags);
    let mut slow = Http1::connect(&node);
    assert!(slow.get());
    std::thread::sleep(Duration::from_millis(700));
    assert!(slow.get(), "the time for a head begins with its first byte");
    let head = b"GET /version HTTP/1.1\r\nhost: ";
    slow.stream.get_mut().write_all(head).expect("it is open");
    assert!(slow.is_closed());
}

#[tokio::test]
async fn clients_of_http2_move_to_new_connections_without_a_failed_call() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flag = "-server.grpc.keepalive.max-connection-age=200ms";
    let node = Node::start(fresh_address(), dir.path(), &[flag]);
    let channel = Endpoint::from_shared(node.url("")).expect("an address");
    let client = PusherServiceClient::new(channel.connect_lazy());
    let calls = (0..8).map(|_| {
        let mut client = client.clone();
        async move {
            let started = Instant::now();
            let mut calls = 0;
            while started.elapsed() < Duration::from_secs(2) {
                let answer = client.push(PushRequest::default()).await;
                let status = answer.expect_err("a push of nothing");
                assert_eq!(status.code(), Code::InvalidArgument, "{status}");
                calls += 1;
            }
            calls
        }
    });
    let calls: Vec<u32> = futures::future::join_all(calls).await;
    assert!(calls.iter().sum::<u32>() > 100, "{calls:?}");
}

#[tokio::test]
async fn an_old_connection_of_http2_is_told_to_go_away() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let flag = "-server.http-max-connection-age=300ms";
    let node = Node::start(fresh_address(), dir.path(), &[flag]);
    let stream = tokio::net::TcpStream::connect(&node.http)
        .await
        .expect("the server listens");
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, axum::body::Body>(executor, io)
            .await
            .expect("HTTP/2");
    let ended = tokio::time::timeout(PATIENCE, connection).await;
    ended.expect("it ends").expect("without an error");
    drop(sender);
}
