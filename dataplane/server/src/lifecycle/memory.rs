//! What an instance remembers of its ring while it is down.
//!
//! The ring lives in the memory of its nodes. When all of them restart at once,
//! the first to be back would take itself for the whole ring: readers would ask
//! it alone and give what it has for the whole answer. So instances with data
//! write down who else has some. Pure.

use proto::ring::{Desc, InstanceDesc};
use ring::desc;

/// Returns what instances remember of `ring`: all that is not a tombstone.
/// Heartbeats alone do not change it.
pub(super) fn of(ring: &Desc) -> Desc {
    let dateless = |instance: &InstanceDesc| InstanceDesc {
        // Long ago, but not before the beginning: that counts as unknown.
        timestamp: 1,
        ..instance.clone()
    };
    Desc {
        ingesters: desc::live(ring)
            .map(|(id, instance)| (id.clone(), dateless(instance)))
            .collect(),
    }
}

/// Returns what an instance called `own` adds to the `current` ring, tombstones
/// included, when it starts and `remembered` another one.
///
/// That is everybody else, or nobody as soon as one of them is there: the ring
/// came from somebody who knows it, and whoever is missing in it has left. Their
/// heartbeats are long past, so they count as down until they say otherwise.
pub(super) fn restore(remembered: &Desc, current: &Desc, own: &str) -> Option<Desc> {
    let is_there = |id: &String| current.ingesters.contains_key(id);
    let others = Desc {
        ingesters: desc::live(remembered)
            .filter(|(id, _)| *id != own)
            .map(|(id, instance)| (id.clone(), instance.clone()))
            .collect(),
    };
    let is_alone = !others.ingesters.is_empty() && !others.ingesters.keys().any(is_there);
    is_alone.then_some(others)
}

#[cfg(test)]
mod tests {
    use proto::ring::InstanceState;

    use super::*;

    fn ring(ids: &[&str]) -> Desc {
        let instance = |id: &&str| {
            let instance = InstanceDesc {
                addr: format!("{id}:4040"),
                timestamp: 1_700_000_000,
                tokens: vec![id.len() as u32],
                ..InstanceDesc::default()
            };
            ((*id).to_owned(), instance)
        };
        Desc {
            ingesters: ids.iter().map(instance).collect(),
        }
    }

    #[test]
    fn heartbeats_change_nothing_and_members_do() {
        let mut later = ring(&["a", "b"]);
        for instance in later.ingesters.values_mut() {
            instance.timestamp += 5;
        }
        assert_eq!(of(&ring(&["a", "b"])), of(&later));
        later.ingesters.remove("b");
        assert_ne!(of(&ring(&["a", "b"])), of(&later));
    }

    #[test]
    fn the_first_of_all_restores_the_others() {
        let remembered = of(&ring(&["a", "b", "c"]));
        let restored = restore(&remembered, &Desc::default(), "a").unwrap();
        assert_eq!(restored.ingesters.keys().collect::<Vec<_>>(), ["b", "c"]);
        let stranger = restore(&remembered, &ring(&["d"]), "a").unwrap();
        assert_eq!(restored, stranger);
        let mut current = ring(&["a"]);
        assert!(desc::merge(&mut current, restored).is_some());
        assert_eq!(current.ingesters.len(), 3);
    }

    #[test]
    fn nobody_is_restored_to_a_ring_that_others_know() {
        let remembered = of(&ring(&["a", "b", "c"]));
        assert_eq!(restore(&remembered, &ring(&["b"]), "a"), None);
        assert_eq!(restore(&of(&ring(&["a"])), &Desc::default(), "a"), None);
        let mut left = ring(&["b"]);
        let entry = left.ingesters.get_mut("b").unwrap();
        entry.state = InstanceState::Left as i32;
        assert_eq!(restore(&remembered, &left, "a"), None);
    }
}
