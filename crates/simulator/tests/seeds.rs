//! A first few seeds in every test run; any number on demand with the binary.

#[test]
fn no_seed_loses_or_doubles_anything() {
    for seed in 1..=150 {
        if let Err(error) = simulator::run(seed) {
            panic!("seed {seed}: {error:#}");
        }
    }
}
