use std::net::SocketAddr;

use clap::Parser;

use crate::observe::Scope;

/// Keeps Pyroscope clusters on Kubernetes as their resources say.
#[derive(Clone, Debug, Parser)]
#[command(name = "pyroscope-operator", version)]
pub(crate) struct Options {
    /// Wait for a lease before changing anything, so that several replicas can run
    #[arg(long, env = "LEADER_ELECT", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) leader_elect: bool,

    /// Namespace of the lease; the pod's own when not given
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub(crate) lease_namespace: String,

    /// Name of the lease
    #[arg(long, default_value = "pyroscope-operator")]
    pub(crate) lease_name: String,

    /// Name of this process in the lease; the pod's name
    #[arg(long, env = "POD_NAME", default_value = "pyroscope-operator")]
    pub(crate) identity: String,

    /// Address that serves /metrics, /healthz and /readyz
    #[arg(long, env = "METRICS_ADDR", default_value = "0.0.0.0:8080", value_parser = listen_address)]
    pub(crate) metrics_addr: SocketAddr,

    /// Image of clusters that name none
    #[arg(
        long,
        env = "RELATED_IMAGE_PYROSCOPE",
        default_value = "pyroscope:latest"
    )]
    pub(crate) default_image: String,

    /// Namespaces to watch, separated by commas; all when empty
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',')]
    pub(crate) namespaces: Vec<String>,

    /// Lowest level to log: error, warn, info, debug or trace, also by module
    /// (info,kube=debug)
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub(crate) log_level: String,

    /// Form of log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Options {
    /// Returns where clusters are looked for, without repetition.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        let mut names: Vec<_> = self
            .namespaces
            .iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return vec![Scope::Everywhere];
        }
        names.into_iter().map(Scope::Namespace).collect()
    }
}

/// Parses an address; `:8080` means every interface.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let full = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.to_owned(),
    };
    full.parse()
        .map_err(|_| format!("{text:?} is not an address such as :8080 or 127.0.0.1:8080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("pyroscope-operator").chain(args.iter().copied()))
    }

    #[test]
    fn namespaces_become_scopes() {
        assert_eq!(parse(&[]).unwrap().scopes(), [Scope::Everywhere]);
        let scopes = parse(&["--namespaces", "b,a,,b"]).unwrap().scopes();
        assert_eq!(scopes, ["a", "b"].map(|it| Scope::Namespace(it.to_owned())));
    }

    #[test]
    fn addresses_may_leave_out_the_host() {
        let options = parse(&["--metrics-addr", ":9"]).unwrap();
        assert_eq!(options.metrics_addr.to_string(), "0.0.0.0:9");
        let error = parse(&["--metrics-addr", "nine"]).unwrap_err().to_string();
        assert!(error.contains("\"nine\" is not an address"), "{error}");
    }
}
