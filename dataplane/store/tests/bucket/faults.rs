//! A store behind a network that fails: each operation succeeds after all, with exactly the bytes,
//! or ends in time with an error that says what it was.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pyroscope_store::bucket::{Bucket, Depth, Error, Patience};

use crate::proxy::{Fault, Proxy, Request};
use crate::suite::broken;
use crate::target::{Target, bytes, quick};

const SLOW_DOWN: &str =
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
const INTERNAL: &str =
    "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";

/// Checks a store through proxies, one for each check: first what mostly waits, then what works.
pub(crate) async fn survives(target: &Target) {
    let proxy = || Proxy::start(target.address);
    tokio::join!(
        async { passing_faults_are_not_noticed(target, &proxy().await).await },
        async { lasting_faults_end_in_errors_of_their_kind(target, &proxy().await).await },
        async { the_store_is_given_the_time_it_asks_for(target, &proxy().await).await },
        async { time_ends_what_attempts_do_not(target, &proxy().await).await },
        async { refusals_are_told_apart_and_not_repeated(target, &proxy().await).await },
        async { no_more_requests_than_allowed_are_under_way(target, &proxy().await).await },
    );
    tokio::join!(
        async { uploads_in_parts_go_on(target, &proxy().await).await },
        async { a_lost_answer_to_the_last_request_is_no_loss(target, &proxy().await).await },
        async { failed_uploads_leave_no_object(target, &proxy().await).await },
        async { what_arrives_as_something_else_is_noticed(target, &proxy().await).await },
    );
}

/// Opens the bucket through the proxy, below a prefix of its own.
fn open(target: &Target, proxy: &Proxy, patience: Patience) -> Bucket {
    target.open(proxy.address, &new_prefix(), patience)
}

/// Opens the bucket through the proxy for a client with time and for a hasty one.
fn open_both(target: &Target, proxy: &Proxy, patience: Patience) -> [Bucket; 2] {
    let prefix = new_prefix();
    [
        target.open(proxy.address, &prefix, patience),
        target.open_hasty(proxy.address, &prefix, patience),
    ]
}

fn new_prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("faults/{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Returns whether only a hasty client notices.
fn is_slow(fault: &Fault) -> bool {
    matches!(fault, Fault::StallWithin(_) | Fault::Wait(_))
}

fn any(_: &Request) -> bool {
    true
}

fn slow_down() -> Fault {
    Fault::Answer(503, "", SLOW_DOWN)
}

/// What passes, by the kind of error that it is if it does not.
fn passing(target: &Target) -> Vec<(&'static str, Fault)> {
    vec![
        ("throttled", slow_down()),
        ("throttled", Fault::Answer(429, "retry-after: 0\r\n", "")),
        ("throttled", Fault::Answer(503, "retry-after: 0\r\n", "")),
        ("transient", Fault::Answer(500, "", INTERNAL)),
        (
            "transient",
            Fault::Answer(502, "", "<html>Bad Gateway</html>"),
        ),
        ("transient", Fault::Answer(503, "", "")),
        ("transient", Fault::Reset),
        ("transient", Fault::LoseAnswer),
        ("transient", Fault::ResetWithin(10)),
        ("transient", Fault::CutWithin(10)),
        ("transient", Fault::Shorten(10)),
        ("transient", Fault::StallWithin(10)),
        (
            "transient",
            Fault::Wait(target.head + Duration::from_millis(500)),
        ),
    ]
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "not found",
        Error::Denied { .. } => "denied",
        Error::Throttled { .. } => "throttled",
        Error::Transient { .. } => "transient",
        Error::Broken { .. } => "broken",
    }
}

async fn passing_faults_are_not_noticed(target: &Target, proxy: &Proxy) {
    let [unhurried, hasty] = open_both(target, proxy, quick());
    let written = bytes(300_000, 11);
    for (_, fault) in passing(target) {
        // Those that cost time happen once, and not to everything.
        let is_slow = is_slow(&fault);
        let bucket = if is_slow { &hasty } else { &unhurried };
        let slow = || proxy.inject(1, fault.clone(), any);
        let inject = || {
            if !is_slow {
                proxy.inject(2, fault.clone(), any);
            }
        };
        slow();
        bucket.put("x/a", written.clone()).await.unwrap();
        slow();
        assert!(
            bucket.get("x/a", 1 << 20).await.unwrap() == written,
            "{fault:?}"
        );
        inject();
        let part = bucket.get_range("x/a", 1000..200_000).await.unwrap();
        assert!(part == written.slice(1000..200_000), "{fault:?}");
        inject();
        assert_eq!(bucket.head("x/a").await.unwrap().size, 300_000);
        inject();
        assert!(bucket.exists("x/a").await.unwrap());
        inject();
        let page = bucket.list("x/", Depth::All, None).await.unwrap();
        assert_eq!(page.objects.len(), 1, "{fault:?}");
        inject();
        bucket.delete("x/a").await.unwrap();
        proxy.clear();
        assert!(!bucket.exists("x/a").await.unwrap(), "{fault:?}");
    }
}

async fn lasting_faults_end_in_errors_of_their_kind(target: &Target, proxy: &Proxy) {
    let patience = Patience {
        retries: 2,
        ..quick()
    };
    let [bucket, hasty] = open_both(target, proxy, patience);
    bucket.put("a", bytes(50_000, 12)).await.unwrap();
    for (expected, fault) in passing(target) {
        proxy.clear();
        proxy.inject(usize::MAX, fault.clone(), any);
        let began = Instant::now();
        let bucket = if is_slow(&fault) { &hasty } else { &bucket };
        let error = bucket.get("a", 1 << 20).await.unwrap_err();
        assert_eq!(kind(&error), expected, "{fault:?}: {error}");
        assert!(error.may_pass(), "{fault:?}: {error}");
        assert!(began.elapsed() < patience.operation, "{fault:?}");
        assert_eq!(proxy.clear().len(), 3, "{fault:?}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("cannot get \"faults/"), "{text}");
        assert!(
            text.contains(bucket.name()) && text.contains("later"),
            "{text}"
        );
    }
    for fault in [slow_down(), Fault::Reset] {
        proxy.inject(usize::MAX, fault.clone(), any);
        assert!(bucket.put("a", bytes(10, 1)).await.unwrap_err().may_pass());
        assert!(
            bucket
                .list("", Depth::One, None)
                .await
                .unwrap_err()
                .may_pass()
        );
        assert!(bucket.head("a").await.unwrap_err().may_pass());
        assert!(bucket.exists("a").await.unwrap_err().may_pass());
        assert!(bucket.delete("a").await.unwrap_err().may_pass());
        proxy.clear();
    }
    // An answer that is short in a consistent way is never taken for the whole.
    proxy.inject(usize::MAX, Fault::Shorten(39_999), any);
    let error = bucket.get_range("a", 0..40_000).await.unwrap_err();
    assert_eq!(kind(&error), "transient", "{error}");
    proxy.clear();
    let part = bucket.get_range("a", 0..40_000).await.unwrap();
    assert!(part == bytes(50_000, 12).slice(..40_000));
}

async fn the_store_is_given_the_time_it_asks_for(target: &Target, proxy: &Proxy) {
    let bucket = open(target, proxy, quick());
    bucket.put("a", bytes(10, 13)).await.unwrap();
    for status in [429, 503] {
        proxy.inject(1, Fault::Answer(status, "retry-after: 1\r\n", ""), any);
        let began = Instant::now();
        bucket.get("a", 10).await.unwrap();
        assert!(
            began.elapsed() >= Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
    // Nobody waits for longer than there is time.
    proxy.inject(1, Fault::Answer(429, "retry-after: 3600\r\n", ""), any);
    let began = Instant::now();
    let error = bucket.get("a", 10).await.unwrap_err();
    assert!(began.elapsed() < quick().operation, "{:?}", began.elapsed());
    let Error::Throttled { retry_after, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*retry_after, Some(Duration::from_secs(3600)));
    assert!(error.to_string().contains("429"), "{error}");
    proxy.clear();
}

async fn time_ends_what_attempts_do_not(target: &Target, proxy: &Proxy) {
    let patience = Patience {
        operation: Duration::from_millis(700),
        retries: 1_000_000,
        ..quick()
    };
    let bucket = open(target, proxy, patience);
    for fault in [Fault::Wait(Duration::from_secs(60)), slow_down()] {
        proxy.inject(usize::MAX, fault, any);
        let began = Instant::now();
        let error = bucket.get("a", 10).await.unwrap_err();
        assert!(error.may_pass(), "{error}");
        let took = began.elapsed();
        // Attempts alone would go on for hours.
        assert!(took < Duration::from_secs(30), "{took:?}");
        proxy.clear();
    }
}

async fn refusals_are_told_apart_and_not_repeated(target: &Target, proxy: &Proxy) {
    let bucket = open(target, proxy, quick());
    let refused = [
        (403, "AccessDenied", "denied", "may read objects"),
        (401, "InvalidCredentials", "denied", "check the credentials"),
        (404, "NoSuchBucket", "broken", "make the bucket"),
        (404, "ContainerNotFound", "broken", "make the bucket"),
        (404, "NoSuchKey", "not found", "no such object"),
        (400, "InvalidArgument", "broken", "InvalidArgument"),
        (301, "PermanentRedirect", "broken", "region or the endpoint"),
        (501, "NotImplemented", "broken", "NotImplemented"),
    ];
    for (status, code, expected, hint) in refused {
        proxy.clear();
        let header = match code {
            "AccessDenied" => "x-ms-error-code: AccessDenied\r\n",
            "ContainerNotFound" => "x-ms-error-code: ContainerNotFound\r\n",
            _ => "",
        };
        let body = format!("<Error><Code>{code}</Code><Message>secret\r\nline</Message></Error>");
        proxy.inject(9, Fault::Answer(status, header, body.leak()), any);
        let error = bucket.get("a", 10).await.unwrap_err();
        assert_eq!(kind(&error), expected, "{error}");
        let text = error.to_string();
        assert!(text.contains(hint) && !text.contains('\n'), "{text}");
        assert_eq!(proxy.clear().len(), 1, "{text}");
    }
}

fn file(length: usize, seed: u64) -> (tempfile::NamedTempFile, bytes::Bytes) {
    let written = bytes(length, seed);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&written).unwrap();
    (file, written)
}

/// Returns whether a request sends bytes of an object.
fn is_data(request: &Request) -> bool {
    request.method == "PUT" && !is_last(request)
}

/// Returns whether a request makes an object of its parts: a POST, or with Azure a PUT of the list.
fn is_last(request: &Request) -> bool {
    (request.method == "POST" && request.target.contains("uploadId="))
        || (request.method == "PUT" && request.target.contains("comp=blocklist"))
}

async fn uploads_in_parts_go_on(target: &Target, proxy: &Proxy) {
    let bucket = open(target, proxy, quick());
    let (file, written) = file(9_000_000, 14);
    for fault in [
        slow_down(),
        Fault::Reset,
        Fault::LoseAnswer,
        Fault::Answer(500, "", INTERNAL),
    ] {
        proxy.inject(2, fault.clone(), is_data);
        proxy.inject(1, fault.clone(), is_last);
        proxy.inject(1, fault.clone(), |request| request.method == "HEAD");
        bucket.upload("large", file.path()).await.unwrap();
        proxy.clear();
        assert!(
            bucket.get("large", 1 << 30).await.unwrap() == written,
            "{fault:?}"
        );
        bucket.delete("large").await.unwrap();
    }
}

async fn a_lost_answer_to_the_last_request_is_no_loss(target: &Target, proxy: &Proxy) {
    let bucket = open(target, proxy, quick());
    let (file, written) = file(9_000_000, 15);
    // A status of success with an error in it is one that S3 gives.
    proxy.inject(1, Fault::Answer(200, "", INTERNAL), |request| {
        request.method == "POST" && is_last(request)
    });
    proxy.inject(1, Fault::LoseAnswer, is_last);
    bucket.upload("large", file.path()).await.unwrap();
    proxy.clear();
    assert!(bucket.get("large", 1 << 30).await.unwrap() == written);
    bucket.delete("large").await.unwrap();
}

async fn failed_uploads_leave_no_object(target: &Target, proxy: &Proxy) {
    let bucket = open(target, proxy, quick());
    let (file, _) = file(9_000_000, 16);
    for which in [is_data as fn(&Request) -> bool, is_last] {
        proxy.inject(usize::MAX, Fault::Answer(503, "", SLOW_DOWN), which);
        let error = bucket.upload("large", file.path()).await.unwrap_err();
        assert_eq!(kind(&error), "throttled", "{error}");
        proxy.clear();
        assert!(!bucket.exists("large").await.unwrap());
    }
    proxy.inject(
        usize::MAX,
        Fault::Answer(403, "", "<Error><Code>AccessDenied</Code></Error>"),
        any,
    );
    let error = bucket.upload("large", file.path()).await.unwrap_err();
    assert!(error.to_string().contains("may write objects"), "{error}");
    proxy.clear();
}

async fn what_arrives_as_something_else_is_noticed(target: &Target, proxy: &Proxy) {
    let bucket = open(target, proxy, quick());
    let (file, written) = file(9_000_000, 17);
    for fail in [1, usize::MAX] {
        proxy.inject(fail, Fault::Corrupt, is_data);
        let put = bucket.put("small", bytes(1000, 18)).await;
        proxy.clear();
        proxy.inject(fail, Fault::Corrupt, is_data);
        let upload = bucket.upload("large", file.path()).await;
        proxy.clear();
        // A store that checks what it gets has refused it, and got it right the second time; with
        // the others the upload must not have succeeded.
        if put.is_ok() {
            assert_eq!(bucket.get("small", 1000).await.unwrap(), bytes(1000, 18));
        }
        if upload.is_ok() {
            assert!(bucket.get("large", 1 << 30).await.unwrap() == written);
        }
        for error in [put.err(), upload.map(drop).err()].into_iter().flatten() {
            assert_eq!(kind(&error), "transient", "{error}");
        }
        if fail > 1 {
            let error = bucket.put("small", bytes(1000, 18)).await;
            assert!(error.is_ok(), "{error:?}");
        }
    }
}

async fn no_more_requests_than_allowed_are_under_way(target: &Target, proxy: &Proxy) {
    use prometheus_client::registry::Registry;
    use pyroscope_store::bucket::{Http, Settings};
    let mut settings = Settings::new((target.backend)(proxy.address, Http::default()));
    (settings.parallel, settings.patience) = (2, quick());
    let bucket = Bucket::open(&settings, &|_| None, &mut Registry::default()).unwrap();
    let time = Duration::from_millis(200);
    proxy.inject(usize::MAX, Fault::Wait(time), any);
    let began = Instant::now();
    let all = (0..6).map(|_| bucket.exists("nothing"));
    for found in futures::future::join_all(all).await {
        assert!(!found.unwrap());
    }
    assert!(began.elapsed() >= 3 * time, "{:?}", began.elapsed());
    proxy.clear();
    // Whose time is over leaves the line.
    settings.patience.operation = Duration::from_millis(100);
    let hasty = Bucket::open(&settings, &|_| None, &mut Registry::default()).unwrap();
    proxy.inject(usize::MAX, Fault::Wait(Duration::from_secs(60)), any);
    let all = (0..6).map(|_| hasty.exists("nothing"));
    for found in futures::future::join_all(all).await {
        assert!(found.unwrap_err().may_pass());
    }
    proxy.clear();
    assert!(broken(hasty.get("../x", 1).await).contains("\"..\""));
}
