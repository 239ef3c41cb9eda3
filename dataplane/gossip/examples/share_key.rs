//! Shares a key between two nodes: what one writes, the other sees.
//!
//! ```text
//! cargo run -p pyroscope-gossip --example share_key
//! ```

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::registry::Registry;
use proto::ring::{Desc, InstanceDesc};
use pyroscope_gossip::{Config, Dialect, Gossip, Listeners};

const KEY: &str = "collectors/ring";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let writer = start(Vec::new()).await?;
    let reader = start(vec![writer.advertised().to_string()]).await?;

    let mut ring = reader.kv().watch(KEY);
    writer.kv().merge(KEY, record("ingester-0")?)?;
    let seen = ring.wait_for(|ring| !ring.ingesters.is_empty()).await?;
    for (id, instance) in &seen.ingesters {
        println!("{} sees {id} at {}", reader.local_name(), instance.addr);
    }
    reader.shutdown().await;
    writer.shutdown().await;
    Ok(())
}

async fn start(join: Vec<String>) -> Result<Gossip, Box<dyn Error>> {
    let listeners = Listeners::bind(&["127.0.0.1:0".parse()?], Dialect::Dskit).await?;
    let config = Config {
        join,
        ..Config::default()
    };
    Ok(Gossip::start(config, listeners, &mut Registry::default(), rand::random()).await?)
}

/// A record is newer than another one by its seconds.
fn record(id: &str) -> Result<Desc, Box<dyn Error>> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let instance = InstanceDesc {
        id: id.to_owned(),
        addr: "127.0.0.1:4040".to_owned(),
        timestamp: i64::try_from(seconds)?,
        tokens: vec![1, 2, 3],
        ..InstanceDesc::default()
    };
    Ok(Desc {
        ingesters: [(id.to_owned(), instance)].into(),
    })
}
