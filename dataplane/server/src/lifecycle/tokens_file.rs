//! The file that keeps an instance's tokens over restarts.

use std::{io, path::Path};

use ring::token;

/// Reads the tokens; none when there is no file.
///
/// # Errors
///
/// Fails when the file cannot be read or is damaged.
pub(super) fn read(file: &Path) -> io::Result<Vec<u32>> {
    match std::fs::read(file) {
        Ok(content) => token::parse_file(&content).map_err(|error| {
            let text = format!(
                "tokens file {}: {error}; repair or remove it",
                file.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, text)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("tokens file {}: {error}", file.display()),
        )),
    }
}

/// Replaces the file as a whole, so that a crash leaves the old or the new one.
///
/// # Errors
///
/// Fails when the file cannot be written; the old one is still there then.
pub(super) fn write(file: &Path, tokens: &[u32]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("tmp");
    let mut out = std::fs::File::create(&fresh)?;
    io::Write::write_all(&mut out, token::render_file(tokens).as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&fresh, file)
}
