//! How a model is explored: in all orders of its steps if they are few, otherwise in many orders, the same in each run.

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// The seed; the environment variable `SHUTTLE_RANDOM_SEED` replaces it.
const SEED: u64 = 0x5eed;
/// The number of orders that each scheduler tries; `SHUTTLE_ROUNDS=100` multiplies it by 100.
const ORDERS: usize = 1_000;
/// The depth of bugs that PCT looks for: the number of ordering constraints needed to trigger one. Most need no more
/// (Burckhardt, Kothari, Musuvathi, Nagarakatte: "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs",
/// ASPLOS 2010).
const DEPTH: usize = 3;
/// The maximum number of steps of an order; an order with more is an endless loop.
const MAX_STEPS: usize = 20_000;
/// The maximum number of orders for an exhaustive exploration.
const MAX_ORDERS: usize = 200_000;

/// Tries random orders, then orders that the PCT scheduler chooses.
pub(crate) fn explore(model: impl Fn() + Clone + Send + Sync + 'static) {
    let orders = ORDERS * rounds();
    println!("{orders} orders at random, {orders} by PCT of depth {DEPTH}; seed {SEED}");
    run(RandomScheduler::new_from_seed(SEED, orders), model.clone());
    run(PctScheduler::new_from_seed(SEED, DEPTH, orders), model);
}

/// Tries all orders.
pub(crate) fn explore_all_orders(model: fn()) {
    let orders = run(DfsScheduler::new(Some(MAX_ORDERS), false), model);
    println!("all {orders} orders");
    assert!(orders < MAX_ORDERS, "there are more orders");
}

fn rounds() -> usize {
    std::env::var("SHUTTLE_ROUNDS").map_or(1, |rounds| rounds.parse().expect("`SHUTTLE_ROUNDS` is a number"))
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    // A loop of requests that never succeed is an error too.
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    // The warning is that Shuttle treats every atomic ordering as `SeqCst`.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model)
}
