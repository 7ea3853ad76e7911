//! How long sums over the ranks take, for the cost model of "Beyond one machine".
//!
//! ```text
//! mpirun -n 4 target/release/examples/exchange_costs
//! ```
//!
//! Rank 0 prints a table: length of the sum, least and median seconds of one rank in it.

use raphson::distributed::Communicator;
use raphson_mpi::World;
use std::time::Instant;

fn main() {
    let world = match World::initialize() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(2);
        }
    };
    let p = world.size();
    if world.rank() == 0 {
        println!("ranks  call         doubles      least_s     median_s");
    }
    for exponent in [0, 6, 12, 16, 20] {
        let length = 1usize << exponent;
        let own = vec![1.0; length * p];
        let mut all = vec![0.0; length * p];
        for name in ["all_gather", "all_to_all"] {
            let repeats = (2000 >> (exponent / 2)).max(9);
            let mut seconds: Vec<f64> = (0..repeats)
                .map(|_| {
                    let clock = Instant::now();
                    let result = match name {
                        "all_gather" => world.all_gather(&own[..length], &mut all),
                        _ => world.all_to_all(&own, &mut all),
                    };
                    if let Err(error) = result {
                        eprintln!("error: {error}");
                        world.abort(1);
                    }
                    clock.elapsed().as_secs_f64()
                })
                .collect();
            seconds.sort_unstable_by(f64::total_cmp);
            if world.rank() == 0 {
                let (least, median) = (seconds[0], seconds[repeats / 2]);
                println!("{p:>5}  {name}  {length:>8}  {least:>11.3e}  {median:>11.3e}");
            }
        }
    }
}
