//! Every check holds for the inputs to start from, whole, cut short and damaged.

use pyroscope_fuzz::TARGETS;

#[test]
fn checks_hold_for_every_seed() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds {
            (target.check)(&seed);
            (target.check)(&seed[..seed.len() / 2]);
            let mut damaged = seed.clone();
            damaged.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x41);
            (target.check)(&damaged);
        }
        (target.check)(&[]);
    }
}
