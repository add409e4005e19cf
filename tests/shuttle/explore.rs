//! How a model is explored: every order of its steps where they are few, else many orders, the same ones each time.

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// `SHUTTLE_RANDOM_SEED` replaces it.
const SEED: u64 = 0x5eed;
/// How many orders of each kind; `SHUTTLE_ROUNDS=100` tries a hundred times as many.
const ORDERS: usize = 1_000;
/// How often a thread loses its turn, in the orders that are drawn by PCT: most mistakes need no more.
const DEPTH: usize = 3;
/// No order takes so many steps, unless it goes round in circles.
const MOST_STEPS: usize = 20_000;
/// What is more than this is not called few.
const FEW: usize = 200_000;

/// Tries orders drawn at random, and then such as change threads seldom.
pub(crate) fn explore(model: impl Fn() + Clone + Send + Sync + 'static) {
    let orders = ORDERS * rounds();
    println!("{orders} orders at random, {orders} by PCT of depth {DEPTH}; seed {SEED}");
    run(RandomScheduler::new_from_seed(SEED, orders), model.clone());
    run(PctScheduler::new_from_seed(SEED, DEPTH, orders), model);
}

/// Tries every order.
pub(crate) fn exhaust(model: fn()) {
    let orders = run(DfsScheduler::new(Some(FEW), false), model);
    println!("all {orders} orders");
    assert!(orders < FEW, "these are not all orders");
}

fn rounds() -> usize {
    std::env::var("SHUTTLE_ROUNDS").map_or(1, |rounds| rounds.parse().expect("`SHUTTLE_ROUNDS` is a number"))
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    // Who asks a store again and again, and is never answered, waits for ever too.
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    // Each time it would say that it knows no weaker order of atomics than `SeqCst`.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model)
}
