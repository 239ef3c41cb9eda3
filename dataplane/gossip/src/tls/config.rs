//! Settings of TLS.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rustls::CipherSuite;

use crate::GossipError;

/// TLS between nodes. Each node presents one certificate, as a server and as a
/// client; the files are read again when they change.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Certificate and the intermediate ones, PEM.
    pub cert_path: PathBuf,
    /// Private key of the certificate, PEM.
    pub key_path: PathBuf,
    /// Authorities of peers, PEM. With it, peers that dial must present a
    /// certificate too; empty trusts the host's authorities and asks no peer
    /// that dials for a certificate.
    pub ca_path: PathBuf,
    /// Name that the certificates of dialled peers must carry; empty takes the
    /// dialled IP address.
    pub server_name: String,
    /// Takes any certificate of dialled peers.
    pub insecure_skip_verify: bool,
    /// Suites of TLS 1.2; those of TLS 1.3 are always offered, as in Go.
    pub cipher_suites: CipherSuites,
    /// Oldest version spoken.
    pub min_version: TlsVersion,
    /// How often the files are looked at.
    pub reload_interval: Duration,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            cert_path: PathBuf::new(),
            key_path: PathBuf::new(),
            ca_path: PathBuf::new(),
            server_name: String::new(),
            insecure_skip_verify: false,
            cipher_suites: CipherSuites::default(),
            min_version: TlsVersion::default(),
            reload_interval: Duration::from_secs(5),
        }
    }
}

impl TlsConfig {
    /// Checks what needs no file.
    ///
    /// # Errors
    ///
    /// Names the first bad setting.
    pub(crate) fn validate(&self) -> Result<(), GossipError> {
        for (setting, path) in [
            ("tls-cert-path", &self.cert_path),
            ("tls-key-path", &self.key_path),
        ] {
            if path.as_os_str().is_empty() {
                let reason = "must be set, as every node serves its peers";
                return Err(GossipError::invalid(setting, reason));
            }
        }
        if self.reload_interval.is_zero() {
            let reason = "must be greater than zero";
            return Err(GossipError::invalid("tls reload interval", reason));
        }
        Ok(())
    }
}

/// A version of TLS, named as Go names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// `VersionTLS12`.
    #[default]
    Tls12,
    /// `VersionTLS13`.
    Tls13,
}

impl FromStr for TlsVersion {
    type Err = GossipError;

    /// Reads Go's name; empty is the default.
    fn from_str(name: &str) -> Result<Self, GossipError> {
        let reason = match name {
            "" | "VersionTLS12" => return Ok(Self::Tls12),
            "VersionTLS13" => return Ok(Self::Tls13),
            "VersionTLS10" | "VersionTLS11" => {
                format!("{name} is broken and not spoken; use VersionTLS12 or VersionTLS13")
            }
            _ => format!("{name:?} is not VersionTLS12 or VersionTLS13"),
        };
        Err(GossipError::invalid("tls-min-version", reason))
    }
}

/// Suites of TLS 1.2, named as Go names them; by default all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CipherSuites(Option<Vec<CipherSuite>>);

impl CipherSuites {
    /// Returns whether a suite may be used.
    pub(super) fn allows(&self, suite: CipherSuite) -> bool {
        let chosen = self.0.as_ref();
        is_tls13(suite) || chosen.is_none_or(|chosen| chosen.contains(&suite))
    }
}

impl fmt::Debug for CipherSuites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CipherSuites").field(&self.0).finish()
    }
}

impl FromStr for CipherSuites {
    type Err = GossipError;

    /// Reads Go's names, separated by commas. Names that Go knows and that are
    /// not safe any more are left out; others are errors.
    fn from_str(names: &str) -> Result<Self, GossipError> {
        let names = names.replace(' ', "");
        if names.is_empty() {
            return Ok(Self(None));
        }
        let mut chosen = Vec::new();
        for name in names.split(',') {
            match SUITES.iter().find(|(known, _)| *known == name) {
                Some((_, suite)) => chosen.push(*suite),
                None if UNSAFE.contains(&name) => {
                    tracing::warn!(name, "TLS cipher suite is not safe and stays out");
                }
                None => {
                    let reason = format!("{name:?} is not a cipher suite of Go");
                    return Err(GossipError::invalid("tls-cipher-suites", reason));
                }
            }
        }
        Ok(Self(Some(chosen)))
    }
}

fn is_tls13(suite: CipherSuite) -> bool {
    SUITES[..3].iter().any(|(_, tls13)| *tls13 == suite)
}

/// Suites by Go's names; those of TLS 1.3 come first.
const SUITES: [(&str, CipherSuite); 9] = [
    (
        "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Suites that Go takes and rustls does not have: no forward secrecy, CBC, RC4
/// or 3DES.
const UNSAFE: [&str; 16] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_the_names_of_go() {
        let all: CipherSuites = "".parse().unwrap();
        let one: CipherSuites = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_RC4_128_SHA"
            .parse()
            .unwrap();
        for (name, suite) in SUITES {
            assert!(all.allows(suite), "{name}");
            let allowed = name == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" || is_tls13(suite);
            assert_eq!(one.allows(suite), allowed, "{name}");
        }
        let error = "TLS_X".parse::<CipherSuites>().unwrap_err().to_string();
        assert!(error.contains("tls-cipher-suites: \"TLS_X\""), "{error}");
    }

    #[test]
    fn old_versions_are_refused_by_name() {
        assert_eq!("".parse::<TlsVersion>().unwrap(), TlsVersion::Tls12);
        assert_eq!(
            "VersionTLS13".parse::<TlsVersion>().unwrap(),
            TlsVersion::Tls13
        );
        for (name, reason) in [("VersionTLS11", "broken"), ("1.2", "is not VersionTLS12")] {
            let error = name.parse::<TlsVersion>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
