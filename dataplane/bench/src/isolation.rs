//! A network of its own for each cluster, so that the kernel's counters are
//! about it alone.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// How a program gets a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Root makes one.
    Network,
    /// Others make one inside of a user namespace.
    UserNetwork,
    /// Not possible here: there are no counters of the device then.
    None,
}

impl Isolation {
    /// Finds out what is possible here.
    pub fn detect() -> Self {
        let works = |isolation: &Self| {
            let mut probe = isolation.command(Path::new("ip"));
            probe.args(["link", "set", "lo", "up"]);
            probe.stdout(Stdio::null()).stderr(Stdio::null());
            probe.status().is_ok_and(|status| status.success())
        };
        [Self::Network, Self::UserNetwork]
            .into_iter()
            .find(works)
            .unwrap_or(Self::None)
    }

    /// Returns a command that runs `program` in a network of its own.
    pub fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::None => return Command::new(program),
            Self::Network | Self::UserNetwork => Command::new("unshare"),
        };
        if self == Self::UserNetwork {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg("--net").arg(program);
        command
    }
}

/// Raises the loopback device of the network that this process was started in
/// by [`Isolation::command`].
///
/// # Errors
///
/// Fails when `ip` does.
pub fn raise_loopback() -> Result<()> {
    let mut command = Command::new("ip");
    let status = command.args(["link", "set", "lo", "up"]).status();
    let status = status.context("cannot run ip")?;
    ensure!(status.success(), "ip link set lo up: {status}");
    Ok(())
}
