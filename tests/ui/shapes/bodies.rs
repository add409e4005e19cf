//! Bodies of cached functions.

use std::cell::RefCell;
use std::rc::Rc;

use cached_runtime::async_cached;

#[async_cached(ttl = 60)]
async fn returns(n: u64) -> Result<u64, String> {
    let mut sum = 0;
    'all: for i in 0.. {
        loop {
            if i > n {
                break 'all;
            }
            if i == 100 {
                return Err("too many".to_owned());
            }
            sum += i;
            break;
        }
    }
    let parsed: u64 = sum.to_string().parse().map_err(|_| "no number")?;
    Ok(parsed)
}

#[async_cached(ttl = 60)]
async fn keeps_what_is_not_send(n: u64) -> u64 {
    let shared = Rc::new(RefCell::new(n));
    tokio::task::yield_now().await;
    *shared.borrow_mut() += 1;
    let n = *shared.borrow();
    n
}

#[async_cached(ttl = 60)]
async fn calls_itself(n: u64) -> u64 {
    if n < 2 { n } else { Box::pin(calls_itself(n - 1)).await + Box::pin(calls_itself(n - 2)).await }
}

/// # Safety
///
/// None is needed.
#[allow(unsafe_code, reason = "it is what is tested")]
#[async_cached(ttl = 60)]
async unsafe fn is_unsafe(n: u64) -> u64 {
    n
}

#[async_cached(ttl = 60)]
async fn has_macros(n: u64) -> u64 {
    macro_rules! twice {
        ($n:expr) => {{
            let looked = $n;
            looked * 2
        }};
    }
    let looked = n;
    twice!(looked) + twice!(n)
}

#[async_cached(ttl = 60)]
async fn has_items(n: u64) -> u64 {
    const SITE: u64 = 1;
    struct User(u64);
    impl User {
        fn get(&self) -> u64 {
            let Self(id) = self;
            *id
        }
    }
    #[async_cached(ttl = 60)]
    async fn inner(n: u64) -> u64 {
        n + 1
    }
    User(inner(n).await).get() + SITE
}

#[tokio::test(flavor = "current_thread")]
async fn bodies_run_unchanged() {
    assert_eq!(returns(5).await, Ok(15));
    assert_eq!(returns(200).await, Err("too many".to_owned()));
    assert_eq!(keeps_what_is_not_send(1).await, 2);
    assert_eq!(keeps_what_is_not_send::refresh(1).await, 2);
    assert_eq!(calls_itself(30).await, 832_040);
    #[allow(unsafe_code, reason = "it is what is tested")]
    let n = unsafe { is_unsafe(1).await + is_unsafe::refresh(1).await };
    assert_eq!(n, 2);
    assert_eq!(has_macros(1).await, 4);
    assert_eq!(has_items(1).await, 3);
}
