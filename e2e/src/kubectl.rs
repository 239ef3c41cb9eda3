//! `kubectl` as a user runs it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// What `kubectl` printed and whether it succeeded.
#[derive(Debug)]
pub struct Output {
    /// Whether the exit code was zero.
    pub success: bool,
    /// Standard output, then standard error.
    pub text: String,
}

/// Runs `kubectl` with `args` and `input` on its standard input.
///
/// # Errors
///
/// Fails when the program cannot be run at all.
pub fn run(args: &[&str], input: &str) -> Result<Output> {
    let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let mut words = program.split_whitespace();
    let mut child = Command::new(words.next().context("KUBECTL is empty")?)
        .args(words)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let mut stdin = child
        .stdin
        .take()
        .context("kubectl has no standard input")?;
    stdin
        .write_all(input.as_bytes())
        .context("cannot write to kubectl")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Output {
        success: output.status.success(),
        text,
    })
}

/// Runs `kubectl` and returns what it printed.
///
/// # Errors
///
/// Fails with what it printed when its exit code is not zero.
pub fn must(args: &[&str], input: &str) -> Result<String> {
    let output = run(args, input)?;
    if output.success {
        return Ok(output.text);
    }
    bail!("kubectl {}: {}", args.join(" "), output.text)
}
