//! A way to an ingester that can be made bad: a proxy at the address that the
//! ingester has in the ring. Gossip goes another way, so nobody is told.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use crate::harness::fresh_address;

/// Port of HTTP and gRPC of every node.
const PORT: u16 = 4040;

/// How what is sent arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// After so long, each way.
    Late(Duration),
    /// So many bytes a second, each way.
    Narrow(u32),
    /// Not, for now. Connections are accepted and stay.
    Stalled,
    /// Requests do, answers do not, for now: what is asked for is done.
    Mute,
    /// In part: connections are reset in the middle of messages.
    Breaking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

/// A proxy to one process; ends its connections when it is dropped.
pub(crate) struct Link {
    pub(crate) address: Ipv4Addr,
    weather: watch::Sender<Weather>,
    _connections: JoinSet<()>,
}

impl Link {
    /// Opens a way to a node, which need not listen yet.
    pub(crate) async fn to(node: Ipv4Addr) -> Self {
        let address = fresh_address();
        let listener = TcpListener::bind((address, PORT)).await;
        let listener = listener.expect("the address is free");
        let (weather, seen) = watch::channel(Weather::Fair);
        let mut connections = JoinSet::new();
        connections.spawn(accept(listener, node, seen));
        Self {
            address,
            weather,
            _connections: connections,
        }
    }

    /// Changes how what is sent arrives, also what is on its way.
    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn accept(listener: TcpListener, node: Ipv4Addr, weather: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    let random = Arc::new(Mutex::new(StdRng::seed_from_u64(u64::from(node.to_bits()))));
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                connections.spawn(connect(client, node, weather.clone(), Arc::clone(&random)));
            }
            Some(_) = connections.join_next() => {}
            else => {}
        }
    }
}

/// Serves one connection; it ends on both sides when it ends on one.
async fn connect(
    client: TcpStream,
    node: Ipv4Addr,
    weather: watch::Receiver<Weather>,
    random: Arc<Mutex<StdRng>>,
) {
    // What listens no more is refused here as well, if a little later.
    let Ok(server) = TcpStream::connect((node, PORT)).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let pump = |direction, from, to| Pump {
        direction,
        from,
        to,
        weather: weather.clone(),
        random: Arc::clone(&random),
    };
    let requests = pump(Direction::Requests, from_client, to_server);
    let answers = pump(Direction::Answers, from_server, to_client);
    tokio::select! {
        () = requests.run() => {}
        () = answers.run() => {}
    }
}

/// One direction of a connection.
struct Pump {
    direction: Direction,
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
    random: Arc<Mutex<StdRng>>,
}

impl Pump {
    async fn run(mut self) {
        let mut buffer = [0; 16 << 10];
        loop {
            let most = match *self.weather.borrow() {
                // A tenth of a second's worth.
                Weather::Narrow(rate) => (rate as usize / 10).clamp(1, buffer.len()),
                _ => buffer.len(),
            };
            let Ok(read @ 1..) = self.from.read(&mut buffer[..most]).await else {
                return;
            };
            if self.arrive(&buffer[..read]).await.is_none() {
                return;
            }
        }
    }

    /// Passes bytes on as the weather is; `None` when the connection is over.
    async fn arrive(&mut self, bytes: &[u8]) -> Option<()> {
        loop {
            let weather = *self.weather.borrow_and_update();
            let wait = match weather {
                Weather::Fair => Duration::ZERO,
                Weather::Late(late) => late,
                Weather::Narrow(rate) => {
                    Duration::from_secs_f64(bytes.len() as f64 / f64::from(rate))
                }
                Weather::Mute if self.direction == Direction::Requests => Duration::ZERO,
                Weather::Stalled | Weather::Mute => Duration::MAX,
                Weather::Breaking => {
                    let part = self.random.lock().random_range(0..bytes.len());
                    let _ = self.to.write_all(&bytes[..part]).await;
                    let sides: [&TcpStream; 2] = [self.to.as_ref(), self.from.as_ref()];
                    for side in sides {
                        let _ = side.set_zero_linger();
                    }
                    return None;
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => return self.to.write_all(bytes).await.ok(),
                changed = self.weather.changed() => changed.ok()?,
            }
        }
    }
}
