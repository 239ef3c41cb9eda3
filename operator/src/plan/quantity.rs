use std::cmp::Ordering;

/// Compares two Kubernetes quantities by value, so that `1Gi` and `1024Mi` are
/// equal. `None` when one of them is not a quantity.
pub(crate) fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(nanos(a)?.cmp(&nanos(b)?))
}

/// Returns a quantity in billionths; smaller parts are cut.
fn nanos(text: &str) -> Option<i128> {
    const ONE: i128 = 1_000_000_000;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Far above the largest quantity of Kubernetes, and far below overflow.
    if whole.len() > 18 || fraction.len() > 9 {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    let value = scaled(whole * ONE + fraction, suffix)?;
    Some(if negative { -value } else { value })
}

fn scaled(nanos: i128, suffix: &str) -> Option<i128> {
    if let Some(power) = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
        .iter()
        .position(|it| *it == suffix)
    {
        return nanos.checked_mul(1 << (10 * (power + 1)));
    }
    let exponent = match suffix {
        "n" => -9,
        "u" => -6,
        "m" => -3,
        "" => 0,
        "k" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        "P" => 15,
        "E" => 18,
        other => other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    };
    let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent < 0 {
        nanos.checked_div(factor)
    } else {
        nanos.checked_mul(factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_values_are_equal() {
        for (a, b) in [
            ("1Gi", "1024Mi"),
            ("0.5", "500m"),
            ("1e3", "1k"),
            (".5", "500m"),
            ("+2", "2"),
            ("1.5Gi", "1536Mi"),
        ] {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} {b}");
        }
    }

    #[test]
    fn different_values_are_ordered() {
        for (a, b) in [
            ("1G", "1Gi"),
            ("-1", "0"),
            ("999m", "1"),
            ("1n", "1u"),
            ("7P", "1E"),
        ] {
            assert_eq!(compare(a, b), Some(Ordering::Less), "{a} {b}");
        }
    }

    #[test]
    fn other_texts_are_not_quantities() {
        for text in [
            "",
            "Gi",
            "ten",
            "1.2.3",
            "1Xi",
            "1e99",
            ".",
            "-",
            "1234567890123456789",
        ] {
            assert_eq!(compare(text, "1"), None, "{text}");
        }
    }
}
