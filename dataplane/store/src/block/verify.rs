//! Looking whether a block is whole.

use sha2::{Digest as _, Sha256};

use super::error::{BlockError, Fault};
use super::meta::{FileMeta, hexadecimal};
use super::reader::Block;
use super::rows::{RowGroups, Span};

/// How much of a file is read at once, in bytes.
const PIECE: u64 = 4 << 20;

impl Block {
    /// Reads everything: all files are as they were written, refer to nothing that
    /// is not there, and add up to what `meta.json` says.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self) -> Result<(), BlockError> {
        for file in &self.meta().files {
            self.verify_file(file).map_err(|error| match error {
                Ok(fault) => self.fault(&file.name, fault),
                Err(error) => error,
            })?;
        }
        let symbols = self.symbols()?;
        let groups = RowGroups::of(self)?;
        let stacks = i32::try_from(symbols.nodes.len()).unwrap_or(i32::MAX);
        let all = self.sources.iter().map(|placed| placed.rows.clone());
        let mut samples = 0;
        for span in groups.spans(all) {
            samples += self.verify_rows(&groups, &span, stacks)?;
        }
        match samples == self.meta().statistics.samples {
            true => Ok(()),
            false => Err(groups.fault(Fault::damaged(format!("it has {samples} samples")))),
        }
    }

    fn verify_file(&self, file: &FileMeta) -> Result<(), Result<Fault, BlockError>> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !file.name.bytes().all(is_plain) || file.name.starts_with('.') {
            return Err(Ok(Fault::damaged("its name is none of a file of a block")));
        }
        let length = self.length(&file.name).map_err(Ok)?;
        if length != file.length {
            let expected = file.length;
            let reason = format!("it has {length} bytes, not {expected}");
            return Err(Ok(Fault::damaged(reason)));
        }
        let mut sha256 = Sha256::new();
        let mut at = 0;
        while at < length {
            let piece = at..length.min(at + PIECE);
            at = piece.end;
            for bytes in self.read(&file.name, &[piece]).map_err(Err)? {
                sha256.update(&bytes);
            }
        }
        match hexadecimal(&sha256.finalize()) == file.sha256 {
            true => Ok(()),
            false => Err(Ok(Fault::damaged("its SHA-256 is another one"))),
        }
    }

    /// Returns the number of samples of rows.
    fn verify_rows(
        &self,
        groups: &RowGroups<'_>,
        span: &Span,
        stacks: i32,
    ) -> Result<u64, BlockError> {
        let fault = |reason: &str| Err(groups.fault(Fault::damaged(reason)));
        let names = groups.names(span)?;
        let sources = groups.sources(span)?;
        let of_rows = sources.iter().zip(&names.names);
        if !of_rows.is_sorted_by(|a, b| a < b) {
            return fault("its profiles are not in order");
        }
        let of_source = |row: usize| {
            let row = names.first + row as u64;
            self.sources
                .partition_point(|placed| placed.rows.end <= row)
        };
        if (0..span.rows).any(|row| of_source(row) as i64 != i64::from(sources[row])) {
            return fault("its profiles are of other sources than series.parquet says");
        }
        let columns = |row: usize| self.sources[of_source(row)].source.columns.len();
        let most = (0..span.rows).map(columns).max().unwrap_or_default();
        let (of_rows, values) = groups.samples(span, &(0..most).collect::<Vec<_>>())?;
        let mut samples = 0;
        for row in 0..span.rows {
            let of_row = of_rows.0.get(row);
            samples += of_row.len() as u64;
            let in_range = |stack: &i32| (0..=stacks).contains(stack);
            if !of_row.is_sorted_by(|a, b| a < b) || !of_row.iter().all(in_range) {
                return fault("a profile has stacks that are not there or not in order");
            }
        }
        for (column, values) in values.iter().enumerate() {
            let totals = groups.totals(span, column)?;
            for row in (0..span.rows).filter(|row| column < columns(*row)) {
                let sum = values.of(row).fold(0, i64::saturating_add);
                if values.count(row) != of_rows.0.get(row).len() || sum != totals[row] {
                    return fault("the values of a profile do not add up");
                }
            }
        }
        Ok(samples)
    }
}
