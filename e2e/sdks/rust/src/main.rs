//! Profiles itself with the crate `pyroscope`: nearly all of its time is spent in
//! one function.

use std::{
    env,
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use pyroscope::{
    backend::{BackendConfig, PprofConfig, pprof_backend},
    pyroscope::PyroscopeAgentBuilder,
};

fn main() -> Result<(), Box<dyn Error>> {
    let agent = PyroscopeAgentBuilder::new(
        env::var("PYROSCOPE_SERVER_ADDRESS")?,
        env::var("PYROSCOPE_APPLICATION_NAME")?,
        100,
        "pyroscope-rs",
        env!("CARGO_PKG_VERSION"),
        pprof_backend(PprofConfig::default(), BackendConfig::default()),
    )
    .tags(vec![("region", "eu-north")])
    .upload_interval(Duration::from_secs(2))
    .build()?
    .start()?;

    let (add_tag, remove_tag) = agent.tag_wrapper();
    add_tag("phase".to_owned(), "spin".to_owned())?;
    spin_the_processor(Instant::now() + Duration::from_secs(3));
    remove_tag("phase".to_owned(), "spin".to_owned())?;

    agent.stop()?.shutdown();
    Ok(())
}

#[inline(never)]
fn spin_the_processor(until: Instant) {
    let mut value = 1_u64;
    while Instant::now() < until {
        for step in 0..1 << 16 {
            value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
        }
    }
}
