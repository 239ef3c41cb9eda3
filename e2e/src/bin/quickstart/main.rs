//! Shows a new cluster at work: takes a CPU profile of the running API server,
//! pushes it, queries it back and prints the ring and the functions that cost
//! most. `make run` starts it where the cluster's addresses can be reached.

mod top;

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use e2e::{
    kubectl,
    pyroscope::{CPU, Client, unix_nanos},
    wait,
};
use serde_json::{Value, json};

const NAME: &str = "quickstart";
const NAMESPACE: &str = "default";
const SERVICE: &str = "kube-apiserver";
const SECONDS: u32 = 5;
const ROWS: usize = 10;

#[tokio::main]
async fn main() -> Result<()> {
    let cluster = status()?;
    let push = endpoint("PUSH_URL", &cluster["endpoints"]["push"])?;
    let query = endpoint("QUERY_URL", &cluster["endpoints"]["query"])?;
    println!(
        "\nThe ring, as all {} pods that were asked see it:\n",
        cluster["ring"]["asked"]
    );
    print_ring(&cluster["ring"]);

    println!("\nTaking a CPU profile of the running {SERVICE} for {SECONDS} seconds ...");
    let profile = api_server_profile()?;
    let start = unix_nanos() / 1_000_000;
    let patience = Duration::from_secs(30);
    let client = Client::new(&push)?;
    wait::until("the profile is taken", patience, async || {
        send(&client, &profile).await
    })
    .await?;
    println!("pushed {} bytes of pprof to {push}", profile.len());

    let client = Client::new(&query)?;
    let answer = wait::until("the profile is returned", patience, async || {
        fetch(&client, start).await
    })
    .await?;
    println!("queried back from {query}; where {SERVICE} spends its time:\n");
    print!("{}", top::table(&answer["flamegraph"], ROWS)?);
    Ok(())
}

/// Reads the cluster resource's status.
fn status() -> Result<Value> {
    let text = kubectl::must(
        &[
            "get",
            "pyroscopecluster",
            NAME,
            "-n",
            NAMESPACE,
            "-o",
            "json",
        ],
        "",
    )?;
    let mut cluster: Value = serde_json::from_str(&text).context("cluster is not JSON")?;
    Ok(cluster["status"].take())
}

/// Takes an address from the environment (a forwarded port), or else the one
/// that the cluster's status names.
fn endpoint(variable: &str, published: &Value) -> Result<String> {
    match std::env::var(variable) {
        Ok(url) if !url.is_empty() => Ok(url),
        _ => {
            let url = published
                .as_str()
                .context("the cluster has no endpoints yet")?;
            Ok(url.to_owned())
        }
    }
}

fn print_ring(ring: &Value) {
    println!(
        "{:<28} {:<10} {:<24} {:>6}",
        "INSTANCE", "STATE", "ADDRESS", "TOKENS"
    );
    for instance in ring["instances"].as_array().into_iter().flatten() {
        let text = |key: &str| instance[key].as_str().unwrap_or("-").to_owned();
        println!(
            "{:<28} {:<10} {:<24} {:>6}",
            text("id"),
            text("state"),
            text("address"),
            instance["tokens"]
        );
    }
    if let (Some(min), Some(max)) = (
        ring["ownership"]["min"].as_str(),
        ring["ownership"]["max"].as_str(),
    ) {
        println!(
            "each owns between {min} and {max} of the ring's {} tokens",
            ring["tokens"]
        );
    }
}

/// Asks Kubernetes' API server for a profile of itself and gives it work
/// meanwhile, so that there is something to see.
fn api_server_profile() -> Result<Vec<u8>> {
    let path = format!("/debug/pprof/profile?seconds={SECONDS}");
    let mut profiling = raw(&path)?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run kubectl")?;
    while profiling.try_wait()?.is_none() {
        raw("/openapi/v2")?
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run kubectl")?;
    }
    let output = profiling.wait_with_output()?;
    ensure!(
        output.status.success(),
        "the API server gives no profile of itself (is profiling switched off, or forbidden to you?): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

fn raw(path: &str) -> Result<Command> {
    let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let mut words = program.split_whitespace();
    let mut command = Command::new(words.next().context("KUBECTL is empty")?);
    command.args(words).args(["get", "--raw", path]);
    Ok(command)
}

async fn send(client: &Client, profile: &[u8]) -> Result<()> {
    let labels = json!([
        {"name": "__name__", "value": "process_cpu"},
        {"name": "service_name", "value": SERVICE},
    ]);
    let raw = base64::engine::general_purpose::STANDARD.encode(profile);
    let body = json!({"series": [{"labels": labels, "samples": [{"rawProfile": raw}]}]});
    client.call("push.v1.PusherService/Push", &body).await?;
    Ok(())
}

/// Queries the profiles since shortly before `start`; an empty answer is an error.
async fn fetch(client: &Client, start: i64) -> Result<Value> {
    let body = json!({
        "profileTypeID": CPU,
        "labelSelector": format!("{{service_name=\"{SERVICE}\"}}"),
        "start": (start - 60_000).to_string(),
        "end": (start + 60_000).to_string(),
    });
    let answer = client
        .call("querier.v1.QuerierService/SelectMergeStacktraces", &body)
        .await?;
    if top::total(&answer["flamegraph"]) == 0 {
        bail!("no samples yet: {answer}");
    }
    Ok(answer)
}
