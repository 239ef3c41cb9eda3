//! The load generator and the floor understand each other.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use bench::push::Pushed;

/// Ends with the test, whatever becomes of it.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Returns an address that nobody listens on. It is asked for once more at once, on
/// an address of loopback that other tests do not use.
fn free_address() -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 190 + high % 50, low, 1);
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn the_floor_takes_every_profile_of_the_load_generator() {
    let target = free_address();
    let mut floor = Command::new(env!("CARGO_BIN_EXE_push-floor"));
    let _floor = Ending(floor.args(["--listen", &target]).spawn().unwrap());
    let mut load = Command::new(env!("CARGO_BIN_EXE_push-load"));
    load.args(["push", "--profiles=120", "--skip=30", "--clients=3"]);
    load.args(["--targets", &target]);
    let child = load.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut load = Ending(child.unwrap());
    let mut lines = BufReader::new(load.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    writeln!(load.0.stdin.as_mut().unwrap(), "go").unwrap();
    let pushed: Pushed = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(pushed.profiles, 120);
    assert!(pushed.bytes > 120 * 10_000, "{pushed:?}");
    let latency = pushed.latency;
    assert!(
        0.0 < latency.p50 && latency.p50 <= latency.p99,
        "{latency:?}"
    );
    assert!(latency.max <= pushed.seconds, "{pushed:?}");
    assert!(load.0.wait().unwrap().success());
}
