//! Joins a cluster of HashiCorp's memberlist and prints what becomes of its
//! members, until it is interrupted.
//!
//! ```text
//! cargo run -p pyroscope-gossip --example members -- 127.0.0.1:7946
//! cargo run -p pyroscope-gossip --example members -- 127.0.0.1:7947 127.0.0.1:7946
//! ```
//!
//! The first argument is the address to listen on, the others are nodes to join.

use std::error::Error;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use pyroscope_gossip::{Config, Delegate, Dialect, Listeners, MemberEvent, Memberlist};

/// An application that only listens.
struct Printer;

impl Delegate for Printer {
    fn event(&self, event: &MemberEvent) {
        match event {
            MemberEvent::Joined(member) => println!("+ {} {}", member.name, member.addr),
            MemberEvent::Suspected(member) => println!("? {}", member.name),
            MemberEvent::Dead(member) => println!("x {}", member.name),
            MemberEvent::Left(member) => println!("- {}", member.name),
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".into());
    let seeds: Vec<String> = arguments.collect();

    let listeners = Listeners::bind(&[address.parse()?], Dialect::Classic).await?;
    let config = Config {
        randomize_node_name: true,
        ..Config::local()
    };
    let mut metrics = Registry::default();
    let application = Arc::new(Printer);
    let node =
        Memberlist::create(config, listeners, application, &mut metrics, rand::random()).await?;
    println!("{} listens on {}", node.local_name(), node.advertised());
    if !seeds.is_empty() {
        println!(
            "{} of {} seeds answered",
            node.join(&seeds).await?,
            seeds.len()
        );
    }
    tokio::signal::ctrl_c().await?;
    node.leave().await;
    Ok(())
}
