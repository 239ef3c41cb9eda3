//! The samples of one profile, encoded as columns.

/// Stacks and values of a profile's samples: varints of the differences between
/// stack ids in ascending order, and per sample type varints of the values
/// divided by what they have in common.
#[derive(Debug)]
pub(crate) struct Columns {
    bytes: Box<[u8]>,
    columns: Box<[Column]>,
}

/// Where the values of a sample type are, and what is known of them.
#[derive(Clone, Copy, Debug)]
struct Column {
    start: u32,
    /// Greatest common divisor of the values, such as the period of a CPU
    /// profile.
    unit: i64,
    total: i64,
}

/// Most bytes of an encoded stack id and of an encoded value.
pub(crate) const MAX_STACK_BYTES: usize = 5;
pub(crate) const MAX_VALUE_BYTES: usize = 10;

/// Fixed size of the columns of a sample type.
pub(crate) const COLUMN_BYTES: usize = size_of::<Column>();

impl Columns {
    /// Encodes samples, each the id of a stack and one value for each of `count`
    /// sample types. Those with the same stack are summed.
    pub(crate) fn encode<'a>(
        count: usize,
        samples: impl ExactSizeIterator<Item = (u32, &'a [i64])>,
    ) -> Self {
        let mut order: Vec<(u32, &[i64])> = samples.collect();
        order.sort_unstable_by_key(|(stack, _)| *stack);
        let mut bytes = Vec::with_capacity(order.len() * (2 + 2 * count));
        let mut before = 0;
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            let stack = same[0].0;
            write_varint(u64::from(stack - before), &mut bytes);
            before = stack;
        }
        let mut values = Vec::with_capacity(order.len());
        let columns = (0..count).map(|column| {
            values.clear();
            values.extend(order.chunk_by(|a, b| a.0 == b.0).map(|same| {
                let of_column = same.iter().map(|(_, values)| values[column]);
                of_column.fold(0_i64, i64::saturating_add)
            }));
            Column::encode(&values, &mut bytes)
        });
        let columns = columns.collect();
        Self {
            bytes: bytes.into(),
            columns,
        }
    }

    /// Bytes that the samples take, without those that are the same for each
    /// profile of so many sample types.
    pub(crate) fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn count(&self) -> usize {
        self.columns.len()
    }

    /// Sum of the values of a sample type.
    pub(crate) fn total(&self, column: usize) -> i64 {
        self.columns.get(column).map_or(0, |column| column.total)
    }

    /// Iterates over stack and value of each sample in ascending order of the
    /// stacks, zeros included.
    pub(crate) fn samples(&self, column: usize) -> impl Iterator<Item = (u32, i64)> {
        let stacks_end = self.columns.first().map_or(0, |first| first.start as usize);
        let of_values = self.columns.get(column).copied().unwrap_or(Column {
            start: self.bytes.len() as u32,
            unit: 0,
            total: 0,
        });
        let stacks = Varints(&self.bytes[..stacks_end]).scan(0_u32, |stack, delta| {
            *stack += delta as u32;
            Some(*stack)
        });
        let values = Varints(&self.bytes[of_values.start as usize..]);
        stacks.zip(values.map(move |multiple| multiple as i64 * of_values.unit))
    }
}

impl Column {
    fn encode(values: &[i64], bytes: &mut Vec<u8>) -> Self {
        let start = u32::try_from(bytes.len()).expect("profiles are shorter than 4 GiB");
        let unit = values
            .iter()
            .fold(0, |unit, value| gcd(unit, *value))
            .max(1);
        let mut total = 0_i64;
        for value in values {
            total = total.saturating_add(*value);
            write_varint((value / unit) as u64, bytes);
        }
        Self { start, unit, total }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn write_varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Numbers that [`write_varint`] wrote.
#[derive(Clone, Debug)]
struct Varints<'a>(&'a [u8]);

impl Iterator for Varints<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn samples_come_back_summed_by_stack(
            samples in prop::collection::vec(
                (prop_oneof![0..9_u32, any::<u32>()], prop::collection::vec(0..i64::MAX, 3)),
                0..40,
            ),
            period in 1..1_000_000_000_i64,
        ) {
            let samples: Vec<(u32, Vec<i64>)> = samples
                .into_iter()
                .map(|(stack, values)| (stack, values.iter().map(|v| v % 1000 * period).collect()))
                .collect();
            let columns = Columns::encode(3, samples.iter().map(|(stack, values)| (*stack, &values[..])));
            for column in 0..3 {
                let mut want = BTreeMap::new();
                for (stack, values) in &samples {
                    *want.entry(*stack).or_insert(0) += values[column];
                }
                let got: Vec<(u32, i64)> = columns.samples(column).collect();
                prop_assert_eq!(&got, &want.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(columns.total(column), want.values().sum::<i64>());
            }
            prop_assert_eq!(columns.samples(3).map(|(_, value)| value).sum::<i64>(), 0);
        }
    }

    #[test]
    fn extremes_fit() {
        let samples = [(u32::MAX, &[i64::MAX, 0][..]), (0, &[1, 0])];
        let columns = Columns::encode(2, samples.into_iter());
        let got: Vec<(u32, i64)> = columns.samples(0).collect();
        assert_eq!(got, [(0, 1), (u32::MAX, i64::MAX)]);
        assert_eq!((columns.total(0), columns.total(1)), (i64::MAX, 0));
        assert!(columns.encoded_len() <= 2 * (MAX_STACK_BYTES + 2 * MAX_VALUE_BYTES));
    }
}
