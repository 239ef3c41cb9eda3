use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What one aspect of a cluster is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: &'static str,
    pub(crate) holds: Holds,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    Unknown,
}

impl Holds {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "True",
            Self::No => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Returns the conditions for a status. The time of the last transition moves
/// only when a condition's status changes.
pub(crate) fn conditions(
    findings: Vec<Finding>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    findings
        .into_iter()
        .map(|finding| {
            let same = before
                .iter()
                .find(|it| it.type_ == finding.kind && it.status == finding.holds.as_str());
            Condition {
                type_: finding.kind.to_owned(),
                status: finding.holds.as_str().to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message,
                observed_generation: generation,
                last_transition_time: same
                    .map_or_else(|| whole_second(now), |it| it.last_transition_time.clone()),
            }
        })
        .collect()
}

/// The API server keeps whole seconds; a fraction would differ when read back.
fn whole_second(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(holds: Holds, message: &str) -> Finding {
        Finding {
            kind: "Ready",
            holds,
            reason: "Reason",
            message: message.to_owned(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 5).unwrap()
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let first = conditions(vec![finding(Holds::No, "a")], &[], Some(1), at(10));
        let second = conditions(vec![finding(Holds::No, "b")], &first, Some(2), at(20));
        assert_eq!(
            second[0].last_transition_time,
            first[0].last_transition_time
        );
        assert_eq!(
            (second[0].message.as_str(), second[0].observed_generation),
            ("b", Some(2))
        );
        let third = conditions(vec![finding(Holds::Yes, "b")], &second, Some(2), at(30));
        assert_eq!(third[0].last_transition_time.0.as_second(), 30);
    }
}
