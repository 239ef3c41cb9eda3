//! Real processes that are killed or run out of disk. Each test runs again as a
//! child of itself, told apart by an environment variable.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use fixture::{TENANT, id, open, open_with, pprof, push, small};
use profile::pprof::decode;
use pyroscope_store::{IncomingProfile, Options, RejectReason};

const DIRECTORY: &str = "STORE_TEST_DIRECTORY";
const FIRST: &str = "STORE_TEST_FIRST";

/// Runs one test of this file again, as a child that acts its other part.
fn spawn(mut command: Command, test: &str, directory: &Path, first: u64) -> Child {
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// Says to the parent that a profile was acknowledged, by one write to a pipe,
/// in which the test harness may have begun a line of its own.
fn acknowledged(n: u64) {
    std::io::stdout()
        .lock()
        .write_all(format!("\nack {n}\n").as_bytes())
        .unwrap();
}

/// Numbers of the profiles that the child says were acknowledged, up to `most`.
/// A last line without its end does not count.
fn acknowledgements(child: &mut Child, most: usize) -> BTreeSet<u64> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = BTreeSet::new();
    let mut line = String::new();
    while acknowledged.len() < most && output.read_line(&mut line).unwrap() > 0 {
        if let Some(n) = line
            .strip_prefix("ack ")
            .and_then(|rest| rest.strip_suffix('\n'))
        {
            acknowledged.insert(n.parse().unwrap());
        }
        line.clear();
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_sigkill() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return push_until_killed(directory.as_ref()).await;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut expected = BTreeSet::new();
    for (round, acks) in [1, 40, 7, 150, 0, 90].into_iter().enumerate() {
        let first = round as u64 * 1_000_000;
        let test = "nothing_acknowledged_is_lost_by_sigkill";
        let mut child = spawn(this_program(), test, temp.path(), first);
        let acknowledged = acknowledgements(&mut child, acks);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(acknowledged.len(), acks);
        expected.extend(acknowledged);

        let opened = open(temp.path());
        assert_eq!(opened.report.corruptions, []);
        let ids = opened.ids();
        let lost: Vec<_> = expected
            .iter()
            .filter(|n| !ids.contains(&id(**n)))
            .collect();
        assert!(
            lost.is_empty(),
            "round {round} lost {lost:?} of {}",
            expected.len()
        );
        opened.database.shutdown().await;
    }
}

async fn push_until_killed(directory: &Path) {
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let options = Options {
        segment_bytes: 4096,
        ..Options::default()
    };
    let database = open_with(directory, options).database;
    let pushers = (0..8).map(|pusher| {
        let database = database.clone();
        tokio::spawn(async move {
            for n in (first + pusher..).step_by(8) {
                push(&database, vec![small(n)]).await.unwrap();
                acknowledged(n);
            }
        })
    });
    for pusher in pushers.collect::<Vec<_>>() {
        pusher.await.unwrap();
    }
}

/// A file that may not grow stands for a full disk: the system writes a part
/// and then refuses, which no simulation is needed for.
#[tokio::test]
async fn a_refused_write_is_not_acknowledged_and_the_log_goes_on() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return push_against_the_limit(directory.as_ref()).await;
    }
    let temp = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    let limited = r#"trap "" XFSZ; ulimit -f 32; exec "$0" "$@""#;
    shell
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap());
    let test = "a_refused_write_is_not_acknowledged_and_the_log_goes_on";
    let mut child = spawn(shell, test, temp.path(), 0);
    let acknowledged = acknowledgements(&mut child, usize::MAX);
    assert!(child.wait().unwrap().success());
    assert_eq!(acknowledged.len(), 30);

    let opened = open(temp.path());
    assert_eq!(opened.report.corruptions, []);
    assert_eq!(opened.report.torn_bytes, 0);
    assert_eq!(opened.report.duplicates, 0);
    assert_eq!(opened.ids(), acknowledged.into_iter().map(id).collect());
}

async fn push_against_the_limit(directory: &Path) {
    let opened = open(directory);
    let too_long = large(99, 64 << 10);
    let refused = push(&opened.database, vec![too_long.clone()])
        .await
        .unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    assert!(
        matches!(refused.rejected[0].reason, RejectReason::Log(_)),
        "{refused}"
    );
    assert!(
        !directory.join("wal/00000001").exists(),
        "an empty segment is left"
    );

    let mut failures = 1;
    for n in 0..30 {
        let profile = large(n, 3000);
        if let Err(refused) = push(&opened.database, vec![profile.clone()]).await {
            assert!(refused.is_retryable(), "{refused}");
            assert!(
                !opened.ids().contains(&id(n)),
                "{n} is visible but was refused"
            );
            failures += 1;
            push(&opened.database, vec![profile]).await.unwrap();
        }
        acknowledged(n);
    }
    assert!(failures > 2, "the limit was met {failures} times");
    assert_eq!(
        opened.metric("pyroscope_wal_append_failures_total"),
        f64::from(failures)
    );
    // The second of the same profile waits for the first, and fails with it.
    let twice = vec![too_long.clone(), too_long];
    let refused = push(&opened.database, twice).await.unwrap_err();
    assert!(
        matches!(
            (&refused.rejected[0].reason, &refused.rejected[1].reason),
            (RejectReason::Log(_), RejectReason::Superseded)
        ),
        "{refused:?}"
    );
    opened.database.shutdown().await;
}

/// A profile whose bytes are at least `len`.
fn large(n: u64, len: usize) -> IncomingProfile {
    let name = format!("{n}").repeat(len);
    let profile = pprof(1000, &[(&["main", &name[..len]], [1, 1])]);
    fixture::incoming("app", n, &profile)
}

/// The log keeps what was sent, not what was made of it.
#[tokio::test]
async fn raw_bytes_are_logged_as_received() {
    let temp = tempfile::tempdir().unwrap();
    let profile = pprof(1000, &[(&["main"], [1, 2])]);
    let gzip: Bytes = profile::pprof::encode_gzip(&profile).into();
    let incoming = IncomingProfile {
        labels: fixture::labels("app"),
        id: id(1),
        raw: gzip.clone(),
        view: None,
        digest: None,
    };
    let opened = open(temp.path());
    opened
        .database
        .push(TENANT, vec![incoming], Default::default())
        .await
        .unwrap();
    opened.database.shutdown().await;
    let segment = std::fs::read(temp.path().join("wal/00000001")).unwrap();
    let mark = 24;
    assert!(segment[..segment.len() - mark].ends_with(&gzip));
    assert_eq!(decode(&gzip, 1 << 20).unwrap(), profile);
}
