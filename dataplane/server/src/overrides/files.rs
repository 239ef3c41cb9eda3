use std::{io::Read as _, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use contract::Config;
use prometheus_client::registry::Registry;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Overrides, metrics::FileMetrics};

/// Largest file in bytes; a path given by mistake may hold anything.
const MOST_FILE_BYTES: u64 = 16 << 20;

type Digest = [u8; 32];

/// Keeps [`Overrides`] as the files say.
#[derive(Debug)]
pub(crate) struct Files {
    config: Arc<Config>,
    overrides: Overrides,
    metrics: FileMetrics,
    /// Of what is in use.
    active: Digest,
    /// Of what was refused last, so that it is refused once.
    refused: Option<Digest>,
}

impl Files {
    /// Reads the files for the first time.
    ///
    /// # Errors
    ///
    /// Fails when one of them cannot be read or is wrong.
    pub(crate) fn load(
        config: &Arc<Config>,
        overrides: &Overrides,
        registry: &mut Registry,
    ) -> Result<Self> {
        let mut files = Self {
            config: Arc::clone(config),
            overrides: overrides.clone(),
            metrics: FileMetrics::register(registry),
            active: Digest::default(),
            refused: None,
        };
        files
            .reload()
            .context("cannot load the runtime configuration")?;
        Ok(files)
    }

    /// Reads the files again and again until `stop`. What is wrong leaves in use
    /// what was right before.
    pub(crate) async fn watch(mut self, stop: CancellationToken) {
        let period = self.config.runtime_config.period.get();
        while !stopped_within(period, &stop).await {
            let read = tokio::task::spawn_blocking(move || {
                let result = self.reload();
                (self, result)
            });
            let Ok((files, result)) = read.await else {
                return;
            };
            self = files;
            if let Err(error) = result {
                warn!(
                    error = format!("{error:#}"),
                    "the runtime configuration is wrong, the previous one stays in use"
                );
            }
        }
    }

    /// Reads the files; an error is told once for as long as they stay the same.
    fn reload(&mut self) -> Result<()> {
        let result = self.try_reload();
        match &result {
            Ok(still_wrong) => self.metrics.observe(!still_wrong),
            Err(_) => self.metrics.observe(false),
        }
        result.map(drop)
    }

    /// Returns whether the files are as wrong as they were the last time.
    fn try_reload(&mut self) -> Result<bool> {
        let texts = read(&self.config.runtime_config.file)?;
        let digest = digest(&texts);
        if self.refused == Some(digest) {
            return Ok(true);
        }
        self.refused = None;
        if self.active == digest {
            return Ok(false);
        }
        self.apply(&texts)
            .inspect_err(|_| self.refused = Some(digest))?;
        self.active = digest;
        self.metrics.active(hexadecimal(&digest));
        Ok(false)
    }

    fn apply(&self, texts: &[(String, String)]) -> Result<()> {
        let (overrides, warnings) = contract::overrides::parse(texts, &self.config)?;
        for warning in warnings {
            warn!("{warning}");
        }
        let tenants = overrides.len();
        self.overrides.replace(overrides)?;
        info!(tenants, "loaded the runtime configuration");
        Ok(())
    }
}

async fn stopped_within(period: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(period, stop.cancelled()).await.is_ok()
}

fn read(files: &[String]) -> Result<Vec<(String, String)>> {
    let read = |file: &String| {
        let text = read_file(file).with_context(|| format!("cannot read {file}"))?;
        Ok((file.clone(), text))
    };
    files.iter().map(read).collect()
}

fn read_file(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    let mut file = std::fs::File::open(path)?.take(MOST_FILE_BYTES + 1);
    if file.read_to_string(&mut text)? as u64 > MOST_FILE_BYTES {
        let reason = format!("larger than {MOST_FILE_BYTES} bytes");
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            reason,
        ));
    }
    Ok(text)
}

fn digest(texts: &[(String, String)]) -> Digest {
    let mut hash = Sha256::new();
    for (_, text) in texts {
        hash.update(text);
    }
    hash.finalize().into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{Rpc, Tenancy};

    #[test]
    fn a_bad_file_leaves_the_old_limits_and_says_so_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("overrides.yaml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let mut config = Config::default();
        config.runtime_config.file = vec![path.display().to_string()];
        let config = Arc::new(config);
        let overrides = Overrides::new(&config).unwrap();
        let mut registry = Registry::default();
        let rpc = Rpc::new(Tenancy::new(false), 1);
        let tenant = rpc.context(&Default::default()).unwrap().tenant;
        let count = || overrides.of(&tenant).labels.count;

        assert!(Files::load(&config, &overrides, &mut Registry::default()).is_err());
        write("overrides: {anonymous: {max_label_names_per_series: 7}}");
        let mut files = Files::load(&config, &overrides, &mut registry).unwrap();
        assert_eq!(count(), 7);
        write("overrides: {anonymous: {max_label_names_per_series: many}}");
        let error = format!("{:#}", files.reload().unwrap_err());
        assert!(
            error.contains("overrides.anonymous.max_label_names_per_series"),
            "{error}"
        );
        files.reload().expect("the same error is told once");
        assert_eq!(count(), 7);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("runtime_config_last_reload_successful 0"),
            "{text}"
        );

        write("overrides: {anonymous: {max_label_names_per_series: 9}}");
        files.reload().unwrap();
        assert_eq!(count(), 9);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("runtime_config_last_reload_successful 1"),
            "{text}"
        );
        assert_eq!(text.matches("runtime_config_hash{").count(), 1, "{text}");
        std::fs::remove_file(&path).unwrap();
        assert!(files.reload().is_err());
        assert_eq!(count(), 9);
    }
}
