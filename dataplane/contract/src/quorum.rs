//! How many replicas of a series must answer.

/// Returns the smallest majority of `replication_factor` replicas: ⌊RF/2⌋+1.
///
/// A write is acknowledged when this many ingesters hold it durably.
pub const fn quorum(replication_factor: usize) -> usize {
    replication_factor / 2 + 1
}

/// Returns how many replicas a read may miss and still see every acknowledged write.
///
/// An acknowledged write is on at least `quorum(RF)` ingesters, so asking all but
/// `quorum(RF) - 1` of them always reaches one that holds it.
pub const fn tolerated_misses(replication_factor: usize) -> usize {
    quorum(replication_factor) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorum_is_the_smallest_majority() {
        let expected = [1, 1, 2, 2, 3, 3, 4, 4];
        for (replication_factor, quorum_size) in expected.into_iter().enumerate() {
            assert_eq!(
                quorum(replication_factor),
                quorum_size,
                "{replication_factor}"
            );
        }
    }

    #[test]
    fn a_read_with_tolerated_misses_meets_every_write_quorum() {
        for replication_factor in 1..=9 {
            let asked =
                replication_factor - tolerated_misses(replication_factor).min(replication_factor);
            assert!(
                asked + quorum(replication_factor)
                    >= replication_factor + usize::from(replication_factor % 2 == 1),
                "{replication_factor}"
            );
        }
    }
}
