//! Which attributes and functions go together, and what is said about those that do not.

use quote::ToTokens as _;

use super::{Bound, Companions, Life, Memo, Part};
use crate::args::{Amount, Args, Backend};
use crate::item::{Body, SelfKind};

fn memo(args: &str, item: &str) -> Memo {
    match parse(args, item) {
        Ok(memo) => memo,
        Err(mistakes) => panic!("#[async_cached({args})] {item}\n{mistakes:#?}"),
    }
}

/// Fails unless there is exactly one mistake and its message contains the part.
#[track_caller]
fn refuses(args: &str, item: &str, part: &str) {
    match parse(args, item) {
        Ok(_) => panic!("accepted: #[async_cached({args})] {item}"),
        Err(mistakes) => {
            assert_eq!(mistakes.len(), 1, "#[async_cached({args})] {item}\n{mistakes:#?}");
            assert!(mistakes[0].contains(part), "#[async_cached({args})] {item}\n{}", mistakes[0]);
        }
    }
}

fn parse(args: &str, item: &str) -> Result<Memo, Vec<String>> {
    let args = args.parse().unwrap();
    let item = item.parse().unwrap();
    Memo::new(Args::parse(args), syn::parse2(item)).map_err(|errors| errors.messages())
}

fn names<'a>(params: impl Iterator<Item = &'a crate::item::Param>) -> Vec<String> {
    params.map(|param| param.name.to_string()).collect()
}

const PLAIN: &str = "async fn f(id: u64) -> u64 { id }";

#[test]
fn a_plain_function_needs_a_lifetime_only() {
    let memo = memo("ttl = 60", "pub(crate) async fn user(db: &Db, id: u64) -> Result<User, Error> { body }");
    assert!(
        matches!(&memo.life, Life::Ttl(ttl) if matches!(ttl.value, Amount::Known(time) if time.as_secs() == 60))
    );
    assert!(matches!(memo.backend.value, Backend::Memory));
    assert!(matches!(memo.bound, Bound::Default));
    assert_eq!(memo.companions, Companions::Type);
    assert_eq!(memo.krate.to_token_stream().to_string(), ":: cached_runtime");
    assert_eq!(memo.item.output.to_token_stream().to_string(), "Result < User , Error >");
    assert_eq!(names(memo.key_params()), ["db", "id"]);
    assert!(matches!(&memo.body, Body::Async(block) if block.to_string() == "{ body }"));
}

#[test]
fn every_option_is_read() {
    memo(
        "ttl = 60, backend = \"memory\", max_bytes = \"64MiB\", weigh = |k, v| k.len() + v.len(), name = \"users\",
         version = 2, cache_if = |value: &User| value.active, cache_err = \"5s\", cache_none = 30,
         single_flight = \"process\", key = (id, name.len(),), crate = ::renamed, handle = USERS,",
        "async fn f(id: u64, name: String) -> u64 { 1 }",
    );
    memo(
        "ttl_from = |value: &Token| value.expires_in, backend = store(), codec = \"json\", skip(name), detached",
        "async fn f(id: u64, name: String) -> u64 { 1 }",
    );
    memo("ttl = MINUTE * 5, capacity = 1_000, detached, associated", PLAIN);
    memo("ttl = Duration::from_secs(5), capacity = CAPACITY, single_flight = \"off\", version = 0x10", PLAIN);
    memo("key = \"a\".len(), ttl = \"1h 30m\", backend = (redis)", PLAIN);
}

#[test]
fn times_are_explained() {
    for (option, part) in [
        ("ttl = 60s", "in quotes: `ttl = \"60s\"`"),
        ("ttl = 1h30m", "in quotes: `ttl = \"1h30m\"`"),
        ("ttl = 1_000ms", "in quotes: `ttl = \"1000ms\"`"),
        ("ttl = 1.5h", "in quotes: `ttl = \"1.5h\"`"),
        ("ttl = 1.5", "write `\"1.5s\"`"),
        ("ttl = 60x", "`x` is not a unit of time"),
        ("ttl = -1", "can not be negative; write `ttl = 60`"),
        ("ttl = 0", "fresh for no time"),
        ("ttl = \"0s\"", "fresh for no time"),
        ("ttl = \"5\"", "`5` needs a unit"),
        ("ttl = \"\"", "does not begin with a number"),
        ("ttl = true", "no amount; write `ttl = 60`"),
        ("ttl = 99999999999999999999", "too large"),
        ("ttl = 99999999999", "584 years"),
        ("ttl", "`ttl` needs a value; write `ttl = 60`"),
        ("ttl =", "`ttl` needs a value; write `ttl = 60`"),
        ("ttl: 60", "expected `=`; write `ttl = 60`"),
        ("ttl(60)", "expected `=`; write `ttl = 60`"),
        ("ttl == 60", "expected `=`; write `ttl = 60`"),
        ("ttl = *", "write it as `ttl = 60`"),
        ("ttl = 60 60", "expected `,` or the end"),
        ("ttl = 60; version = 2", "expected `,` or the end"),
        ("60", "write `ttl = 60` if"),
        ("\"60s\"", "write `ttl = \"60s\"` if"),
        ("= 60", "as in `ttl = 60`"),
        ("", "say how long a value is fresh: `ttl = 60`"),
        ("version = 2", "say how long a value is fresh: `ttl = 60`"),
    ] {
        refuses(option, PLAIN, part);
    }
}

#[test]
fn options_are_explained() {
    for (option, part) in [
        ("tll = 60", "unknown option `tll`; did you mean `ttl`? (there are `ttl`, `ttl_from`,"),
        ("convert = 60", "unknown option `convert`; did you mean `key`? (there are"),
        ("time = 60", "unknown option `time`; did you mean `ttl`? (there are"),
        ("color = 60", "unknown option `color` (there are"),
        ("version = 2 backend = store()", "expected `,` before the next option"),
        ("version = 2 detached", "expected `,` before the next option"),
        ("ttl = 60", "`ttl` is given twice"),
        ("ttl_from = |value: &u64| MINUTE", "`ttl` and `ttl_from` both say"),
        ("ttl_from = 5", "`ttl_from` is a function of the value"),
        ("near = \"5s\"", "`near` is not available yet"),
        ("tags", "in parentheses: `tags(\"user:{id}\", \"users\")`"),
        ("tags = \"users\"", "in parentheses: `tags("),
        ("tags()", "names no tag"),
        ("tags(\"\")", "a tag has at least one letter"),
        ("tags(5)", "a tag is a text"),
        ("tags(\"user:{ide}\")", "`{ide}` is no argument of the key; did you mean `{id}`?"),
        ("tags(\"user:{x}\")", "`{x}` is no argument of the key; there is `{id}`"),
        ("tags(\"user:{id:?}\")", "`{id:?}` has a format"),
        ("tags(\"user:{id\")", "`{id` is not closed"),
        ("skip(id), tags(\"user:{id}\")", "`{id}` is no part of the key"),
        ("skip(id), tags(\"user:{x}\")", "`{x}` is no argument of the key; the key has none"),
        ("skip(id), tags(format!(\"user:{id}\"))", "`id` is no part of the key"),
        ("tags_from = \"users\"", "`tags_from` is a function of the value"),
        ("refresh_ahead = 2", "a part of the lifetime, from 0 to 1"),
        ("refresh_ahead = 0", "leave `refresh_ahead` out to switch it off"),
        ("refresh_ahead = \"1s\"", "a part of the lifetime, from 0 to 1"),
        ("jitter = 1.1", "a part of the lifetime, from 0 to 1"),
        ("jitter = -0.1", "a part of the lifetime, from 0 to 1"),
        ("jitter", "`jitter` needs a value"),
        ("timeout = 0", "nothing is done in no time; write at least `\"1ms\"`"),
        ("stale_if_error = \"0s\"", "no time is what there is without this option"),
        ("cache_err = 0", "fresh for no time"),
        ("stale_while_revalidate = 30s", "in quotes: `stale_while_revalidate = \"30s\"`"),
        ("stale_if_error", "`stale_if_error` needs a value"),
        ("single_flight = \"fleet\"", "a fleet shares a store"),
        ("single_flight = off", "in quotes: `single_flight = \"off\"`"),
        ("single_flight = \"of\"", "did you mean `\"off\"`?"),
        ("single_flight = 1", "write one of `\"fleet\"`, `\"process\"` or `\"off\"`"),
        (
            "backend = \"rediss\"",
            "did you mean `\"redis\"`? (there are `\"memory\"`, `\"redis\"` and `\"memcached\"`)",
        ),
        ("backend = redis", "in quotes: `backend = \"redis\"`"),
        ("backend = 5", "write one of"),
        ("capacity = 0", "at least 1"),
        ("capacity = \"10k\"", "write `capacity = 10_000`"),
        ("capacity = 10k", "write `capacity = 10_000`"),
        ("max_bytes = \"64MiB\"", "add `weigh = |key, value| ...`"),
        ("max_bytes = 64MiB, weigh = |k, v| 1", "in quotes: `max_bytes = \"64MiB\"`"),
        ("max_bytes = \"64mb\", weigh = |k, v| 1", "write `MB`"),
        ("weigh = |k, v| 1", "add `max_bytes = \"64MiB\"`"),
        ("weigh = |k, v| 1, capacity = 5", "add `max_bytes = \"64MiB\"`"),
        ("capacity = 5, max_bytes = \"1MiB\", weigh = |k, v| 1", "leave one of them out"),
        ("backend = \"redis\", capacity = 5", "the in-process tier is only used by `backend = \"memory\"`"),
        ("backend = \"redis\", max_bytes = \"1MiB\", weigh = |k, v| 1", "leave `max_bytes` out"),
        ("backend = \"redis\", near = 5, capacity = 5", "`near` is not available yet"),
        ("codec = \"json\"", "values in memory are not encoded"),
        ("backend = \"memory\", codec = \"json\"", "values in memory are not encoded"),
        ("backend = \"redis\", codec = \"jsn\"", "did you mean `\"json\"`?"),
        ("name = \"\"", "at least one letter"),
        ("name = \"a b\"", "` ` can not stand in a name"),
        ("name = \"{a}\"", "`{` can not stand in a name"),
        ("name = users", "a name is a string"),
        ("version = \"2\"", "write `version = 2`"),
        ("version = 4294967296", "write `version = 2`"),
        ("version = VERSION", "write `version = 2`"),
        ("detached = true", "write `detached` alone"),
        ("detached = false", "leave `detached` out"),
        ("associated(true)", "write `associated` alone"),
        ("crate = \"path\"", "without quotes"),
        ("handle = \"USERS\"", "without quotes"),
        ("handle = 5", "without quotes"),
        ("key = \"{id}\"", "all calls would share this key"),
        ("key = (id,), skip(id)", "leave one of them out"),
        ("skip(id), key = id", "leave one of them out"),
        ("skip", "in parentheses: `skip(db, self)`"),
        ("skip = id", "in parentheses: `skip(db, self)`"),
        ("skip()", "leaves nothing out"),
        ("skip(&id)", "takes names only"),
        ("skip(id.0)", "write `skip(id)`"),
        ("skip(id, id)", "`id` is named twice"),
        ("skip(ide)", "`ide` is not a parameter; did you mean `id`? (there is `id`)"),
        ("skip(self)", "`self` is not a parameter (there is `id`)"),
    ] {
        refuses(&format!("ttl = 60, {option}"), PLAIN, part);
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mistakes = parse(
        "ttl = 60s, weigh = |k, v| , tll = 5, backend = \"redi\", capacity = 0, skip(x, 5)",
        "fn f(id: &mut u64) -> &str { \"\" }",
    );
    let mistakes = mistakes.err().unwrap();
    let parts = [
        "\"60s\"",
        "weigh",
        "tll",
        "redi",
        "room for no entry",
        "names only",
        "lose this change",
        "async fn",
    ];
    assert_eq!(mistakes.len(), parts.len(), "{mistakes:#?}");
    for (mistake, part) in mistakes.iter().zip(parts) {
        assert!(mistake.contains(part), "{part}: {mistake}");
    }
}

#[test]
fn functions_are_explained() {
    for (item, part) in [
        ("fn f() {}", "write `async fn`"),
        ("pub unsafe fn f() {}", "write `async fn`"),
        ("fn f() -> impl Future<Output = u8> { async { 1 } }", "write `async fn`"),
        ("const fn f() {}", "write `async fn`"),
        ("async extern \"C\" fn f() {}", "ABI"),
        ("unsafe extern \"C\" fn f(n: u8, ...) {}", "ABI"),
        ("async fn f(n: u8, ...) {}", "take a slice"),
        ("async fn f(log: &mut Vec<u8>) {}", "lose this change"),
        ("async fn f(log: Option<&mut Vec<u8>>) {}", "lose this change"),
        ("async fn f() -> &str { \"\" }", "return a `String`"),
        ("async fn f<'a>(x: &'a str) -> &'a [u8] { x }", "return a `Vec`"),
        ("async fn f() -> Option<&User> { None }", "owns what it has"),
        ("async fn f() -> Cow<'_, str> { x }", "owns what it has"),
        ("async fn f() -> impl Display + 'static { 1 }", "name the type"),
        ("async fn f() -> Result<impl Display, E> { 1 }", "name the type"),
        ("async fn f(&self) -> u8 { 1 }", "leave it out with `skip(self)`"),
        ("async fn f(self: Arc<Self>) -> u8 { 1 }", "leave it out with `skip(self)`"),
        ("async fn f(&mut self) -> u8 { 1 }", "take `&self`"),
        ("async fn f(self: Pin<&mut Self>) -> u8 { 1 }", "take `&self`"),
        ("async fn f(self) -> u8 { 1 }", "take `&self`"),
        ("async fn f(mut self: Self) -> u8 { 1 }", "take `&self`"),
        ("async fn f(x: f64) {}", "write `key = (x.to_bits(),)`"),
        ("async fn f(id: u8, x: &f32) {}", "write `key = (id, x.to_bits())`"),
        ("async fn f(x: Option<f64>) {}", "write `key = (x.map(f64::to_bits),)`"),
        ("async fn f(x: &[(u8, f64)]) {}", "say what is with `key = (...)`"),
        ("async fn f(_: f64) {}", "give the parameter a name"),
        ("async fn f(x: impl Into<String>) {}", "leave it out with `skip(x)`"),
        ("async fn f(x: &impl Display) {}", "make it a generic"),
        ("async fn f(&self);", "on the methods of the impls"),
        ("struct F;", "this is a type"),
        ("pub enum F {}", "this is a type"),
        ("impl F {}", "each `async fn` inside"),
        ("unsafe impl F {}", "this is none"),
        ("pub trait F {}", "each `async fn` of its impls"),
        ("mod f {}", "this is a module"),
        ("const F: u8 = 1;", "this is none"),
        ("|x| x", "this is a closure"),
        ("move || x", "this is a closure"),
    ] {
        refuses("ttl = 60", item, part);
    }
}

#[test]
fn keys_are_explained() {
    for (option, item, part) in [
        ("key = (id,)", "async fn f(&self, id: u8) {}", "leave it out with `skip(self)` as well"),
        ("key = (self.id,), skip(self)", "async fn f(&self) {}", "in `key` and in `skip`"),
        ("key = (id,), skip(self, id)", "async fn f(&self, id: u8) {}", "both say what makes the key"),
        ("key = (x,)", "async fn f(x: f64) {}", "write `x.to_bits()`"),
        ("key = x", "async fn f(x: Vec<f64>) {}", "made of floats"),
        ("key = (a,)", "async fn f((a, b): (u8, u8)) {}", "take it apart in the body"),
        ("skip(a)", "async fn f((a, b): (u8, u8)) {}", "take it apart in the body"),
        (
            "skip(self, dbb)",
            "async fn f(&self, db: &Db) {}",
            "did you mean `db`? (there are `self` and `db`)",
        ),
        ("skip(sefl)", "async fn f(&self, x: f64) {}", "did you mean `self`?"),
        ("skip(db)", "async fn f() {}", "(there are none)"),
        ("version = 1", "async fn f(ids: &[&str]) {}", "`ids` borrows inside"),
        ("version = 1", "async fn f(ids: Vec<&str>) {}", "`ids` borrows inside"),
        ("version = 1", "async fn f(ids: [&str; 2]) {}", "`ids` borrows inside"),
        ("version = 1", "async fn f(name: Cow<'_, str>) {}", "`name` borrows inside"),
        ("version = 1", "async fn f(filter: &Filter<'_>) {}", "`filter` borrows inside"),
        ("version = 1", "async fn f(name: Option<Cow<'_, str>>) {}", "`name` borrows inside"),
        ("detached", "async fn f(x: &str) {}", "in an `Arc`"),
        ("detached", "async fn f(x: Cow<'_, str>) {}", "in an `Arc`"),
        ("detached, skip(x)", "async fn f(x: Option<&str>) {}", "in an `Arc`"),
        ("detached, skip(self)", "async fn f(&self) {}", "take `self: Arc<Self>`"),
        ("detached, skip(self)", "async fn f(self: &Self) {}", "take `self: Arc<Self>`"),
    ] {
        refuses(&format!("ttl = 60, {option}"), item, part);
    }
}

#[test]
fn what_can_be_cached_is_not_refused() {
    for (option, item) in [
        ("skip(self)", "async fn f(&self) {}"),
        ("skip(self), key = (id,)", "async fn f(&self, id: u8) {}"),
        ("key = self.id", "async fn f(&self) {}"),
        ("version = 1", "async fn f(a: &str, b: &[u64], c: Option<&str>, d: Vec<&'static str>) {}"),
        ("version = 1", "async fn f(a: Option<&[u8]>, b: (&str, u8), c: fn(&str) -> u8) {}"),
        ("skip(names)", "async fn f(names: &[&str]) {}"),
        ("key = (names.len(),)", "async fn f(names: &[&str]) {}"),
        ("key = (self.id, id)", "async fn f(self: &Arc<Self>, id: u8) {}"),
        ("key = ()", "async fn f(id: u8) {}"),
        ("skip(x)", "async fn f(x: impl Into<String>) {}"),
        ("skip(x)", "async fn f(x: f64) {}"),
        ("key = (x.to_bits(),)", "async fn f(x: f64) {}"),
        ("key = (x.as_ref(),)", "async fn f(x: impl AsRef<str>) {}"),
        ("skip(r#type)", "async fn f(r#type: u8) {}"),
        ("skip(_db)", "async fn f(_db: &Db) {}"),
        ("detached, skip(self)", "async fn f(self: Arc<Self>, x: &'static str) {}"),
        ("detached", "async fn f(call: fn(&str) -> &str, then: Box<dyn Fn(&mut u8)>) {}"),
        ("version = 1", "async fn f() -> &'static str { \"\" }"),
        ("version = 1", "async fn f(x: NotNan<f64>) -> Box<dyn for<'a> Fn(&'a str) -> &'a str> { x }"),
        ("version = 1", "async unsafe fn f<T: Hash, const N: usize>(x: [T; N]) where T: Eq { x }"),
        ("version = 1", "async fn f(#[cfg(feature = \"x\")] x: u8) { half written = ( + )  }"),
    ] {
        memo(&format!("ttl = 60, {option}"), item);
    }
}

#[test]
fn a_key_knows_which_arguments_it_is_made_of() {
    let key = |key: &str| {
        let memo = memo(
            &format!("ttl = 60, key = {key}"),
            "async fn f(a: A, b: B, mut c: C, (d, e): (D, E), _f: F) {}",
        );
        assert!(memo.key.parts.iter().all(|part| matches!(part, Part::Expr(_))));
        names(memo.key_params())
    };
    assert_eq!(key("(c, a.b)"), ["a", "c"]);
    assert_eq!(key("b"), ["b"]);
    assert_eq!(key("(a)"), ["a"]);
    assert_eq!(key("a::b(C::c, x.a(), x!(b))"), ["b"]);
    assert_eq!(key("X { a: 1, b: c }"), ["c"]);
    assert_eq!(key("(a..b, &x[c])"), ["a", "b", "c"]);
    assert_eq!(key("format!(\"{a}-{b:?}-{{x}}\")"), ["a", "b"]);
    assert_eq!(key("(\"{a}\", a != b)"), ["a", "b"]);

    let skipped = memo("ttl = 60, skip(b)", "async fn f(a: A, b: B, _: C, D { d, .. }: D, mut e: E) {}");
    assert_eq!(names(skipped.key_params()), ["a", "arg2", "arg3", "e"]);
    assert!(!skipped.key.uses_self);
    assert!(memo("ttl = 60, key = (self.id, a)", "async fn f(&self, a: A) {}").key.uses_self);
}

#[test]
fn patterns_give_way_to_names() {
    let memo = memo(
        "ttl = 60",
        "async fn f(#[cfg(x)] a: A, mut b: B, _: C, (d, e): (D, E), ref g: G, h @ Some(_): Option<H>, _i: I) {}",
    );
    let written: Vec<_> = memo
        .item
        .params
        .iter()
        .map(|param| {
            let pattern = param.pattern.as_ref().map(|pattern| pattern.to_token_stream().to_string());
            (param.outer().to_token_stream().to_string(), pattern.unwrap_or_default(), param.cfgs().count())
        })
        .collect();
    let written: Vec<_> =
        written.iter().map(|(outer, pattern, cfgs)| (&**outer, &**pattern, *cfgs)).collect();
    assert_eq!(
        written,
        [
            ("# [cfg (x)] a : A", "", 1),
            ("b : B", "mut b", 0),
            ("arg2 : C", "_", 0),
            ("arg3 : (D , E)", "(d , e)", 0),
            ("arg4 : G", "ref g", 0),
            ("arg5 : Option < H >", "h @ Some (_)", 0),
            ("_i : I", "", 0),
        ]
    );
}

#[test]
fn companions_stand_where_they_can() {
    for (option, item, companions) in [
        ("version = 1", "async fn f() {}", Companions::Type),
        ("handle = F", "async fn f() {}", Companions::Type),
        ("version = 1", "async fn f() { impl X { fn x() -> Self { X } } }", Companions::Type),
        ("skip(self)", "pub(self) async fn f(&self) {}", Companions::Method),
        ("version = 1", "pub async fn f() -> Self { X }", Companions::Method),
        ("version = 1", "pub async fn f() -> u8 { Self::X }", Companions::Method),
        ("version = 1", "pub async fn f(x: Box<dyn Into<Self>>) {}", Companions::Method),
        ("skip(self), handle = F", "pub async fn f(&self) {}", Companions::Method),
        ("skip(self)", "async fn f(&self) {}", Companions::None),
        ("associated", "async fn f() {}", Companions::None),
        ("associated", "pub async fn f() {}", Companions::Method),
    ] {
        assert_eq!(memo(&format!("ttl = 60, {option}"), item).companions, companions, "{option} {item}");
    }
}

#[test]
fn the_shape_of_async_trait_is_known() {
    let memo = memo(
        "ttl = 60, key = (self.id, name)",
        "#[allow(clippy::type_complexity)]
         fn user<'life0, 'life1, 'async_trait>(&'life0 self, name: &'life1 str) -> ::core::pin::Pin<Box<
             dyn ::core::future::Future<Output = Result<User, Error> > + ::core::marker::Send + 'async_trait
         >>
         where 'life0: 'async_trait, 'life1: 'async_trait, Self: 'async_trait
         {
             Box::pin(async move {
                 if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<Result<User, Error> > {
                     #[allow(unreachable_code)]
                     return __ret;
                 }
                 let __self = self;
                 let __ret: Result<User, Error> = { __self.find(name).await };
                 #[allow(unreachable_code)]
                 __ret
             })
         }",
    );
    assert_eq!(memo.item.output.to_token_stream().to_string(), "Result < User , Error >");
    assert_eq!(memo.item.receiver.as_ref().map(|receiver| receiver.kind), Some(SelfKind::Ref));
    assert_eq!(memo.companions, Companions::None);
    let Body::Boxed { before, pin, future, async_trait: true } = memo.body else {
        panic!("not known");
    };
    assert!(before.is_empty());
    assert_eq!(pin.to_string(), "Box :: pin");
    assert!(future.to_string().starts_with("async move { if let"));
}

#[test]
fn other_boxed_futures_are_known_as_well() {
    let memo = memo(
        "ttl = 60",
        "fn f(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> { let m = n; std::boxed::Box::pin(g(m)) }",
    );
    assert_eq!(memo.companions, Companions::Type);
    let Body::Boxed { before, pin, future, async_trait: false } = memo.body else {
        panic!("not known");
    };
    assert_eq!(before.to_string(), "let m = n ;");
    assert_eq!(pin.to_string(), "std :: boxed :: Box :: pin");
    assert_eq!(future.to_string(), "g (m)");
}
