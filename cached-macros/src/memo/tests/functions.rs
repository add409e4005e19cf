//! Functions and keys: which are accepted, and the errors for those that are not.

use quote::ToTokens as _;

use super::{memo, names, rejects};
use crate::item::{Body, SelfKind};
use crate::memo::{Companions, Part};

#[test]
fn invalid_functions_are_rejected() {
    for (item, part) in [
        ("fn f() {}", "write `async fn`"),
        ("pub unsafe fn f() {}", "write `async fn`"),
        ("fn f() -> impl Future<Output = u8> { async { 1 } }", "write `async fn`"),
        ("const fn f() {}", "write `async fn`"),
        ("async extern \"C\" fn f() {}", "an `extern` function"),
        ("unsafe extern \"C\" fn f(n: u8, ...) {}", "an `extern` function"),
        ("async fn f(n: u8, ...) {}", "take a slice"),
        ("async fn f(log: &mut Vec<u8>) {}", "would be lost"),
        ("async fn f(log: Option<&mut Vec<u8>>) {}", "would be lost"),
        ("async fn f() -> &str { \"\" }", "return a `String`"),
        ("async fn f<'a>(x: &'a str) -> &'a [u8] { x }", "return a `Vec`"),
        ("async fn f() -> Option<&User> { None }", "owns its data"),
        ("async fn f() -> Cow<'_, str> { x }", "owns its data"),
        ("async fn f() -> impl Display + 'static { 1 }", "name the type"),
        ("async fn f() -> Result<impl Display, E> { 1 }", "name the type"),
        ("async fn f(&self) -> u8 { 1 }", "leave it out with `skip(self)`"),
        ("async fn f(self: Arc<Self>) -> u8 { 1 }", "leave it out with `skip(self)`"),
        ("async fn f(&mut self) -> u8 { 1 }", "take `&self`"),
        ("async fn f(self: Pin<&mut Self>) -> u8 { 1 }", "take `&self`"),
        ("async fn f(self) -> u8 { 1 }", "leave it out with `skip(self)`"),
        ("async fn f(mut self: Self) -> u8 { 1 }", "leave it out with `skip(self)`"),
        ("async fn f(x: f64) {}", "write `key = (x.to_bits(),)`"),
        ("async fn f(id: u8, x: &f32) {}", "write `key = (id, x.to_bits())`"),
        ("async fn f(x: Option<f64>) {}", "write `key = (x.map(f64::to_bits),)`"),
        ("async fn f(x: &[(u8, f64)]) {}", "write what identifies it with `key = (...)`"),
        ("async fn f(_: f64) {}", "give the parameter a name"),
        ("async fn f(x: impl Into<String>) {}", "leave it out with `skip(x)`"),
        ("async fn f(x: &impl Display) {}", "use a type parameter"),
        ("async fn f(&self);", "on the method in each impl"),
        ("struct F;", "this is a type"),
        ("pub enum F {}", "this is a type"),
        ("impl F {}", "each `async fn` inside"),
        ("unsafe impl F {}", "this is not a function"),
        ("pub trait F {}", "each `async fn` of its impls"),
        ("mod f {}", "this is a module"),
        ("const F: u8 = 1;", "this is not a function"),
        ("|x| x", "this is a closure"),
        ("move || x", "this is a closure"),
    ] {
        rejects("ttl = 60", item, part);
    }
}

#[test]
fn invalid_keys_are_rejected() {
    for (option, item, part) in [
        ("key = (id,)", "async fn f(&self, id: u8) {}", "leave it out explicitly by adding `skip(self)`"),
        ("key = (self.id,), skip(self)", "async fn f(&self) {}", "both in `key` and in `skip`"),
        ("key = (id,), skip(self, id)", "async fn f(&self, id: u8) {}", "both define the key"),
        ("key = (x,)", "async fn f(x: f64) {}", "write `x.to_bits()`"),
        ("key = x", "async fn f(x: Vec<f64>) {}", "contains floats"),
        ("key = (a,)", "async fn f((a, b): (u8, u8)) {}", "destructure it in the body"),
        ("skip(a)", "async fn f((a, b): (u8, u8)) {}", "destructure it in the body"),
        (
            "skip(self, dbb)",
            "async fn f(&self, db: &Db) {}",
            "did you mean `db`? (the parameters are `self` and `db`)",
        ),
        ("skip(sefl)", "async fn f(&self, x: f64) {}", "did you mean `self`?"),
        ("skip(db)", "async fn f() {}", "(the function has no parameters)"),
        ("version = 1", "async fn f(ids: &[&str]) {}", "`ids` contains borrowed data"),
        ("version = 1", "async fn f(ids: Vec<&str>) {}", "`ids` contains borrowed data"),
        ("version = 1", "async fn f(ids: [&str; 2]) {}", "`ids` contains borrowed data"),
        ("version = 1", "async fn f(name: Cow<'_, str>) {}", "`name` contains borrowed data"),
        ("version = 1", "async fn f(pair: Option<(&[&str], u8)>) {}", "`pair` contains borrowed data"),
        ("key = (x.parse::<u8>()?,)", "async fn f(x: &str) {}", "write `.ok()` instead"),
        ("key = (x.into_bytes(),)", "async fn f(x: String) {}", "this moves `x`"),
        ("key = ((x, 1),)", "async fn f(x: String) {}", "or write `x.clone()`"),
        ("key = (x + \"y\",)", "async fn f(x: String) {}", "this moves `x`"),
        ("key = (X { x },)", "async fn f(x: Vec<u8>) {}", "this moves `x`"),
        ("tags(x?)", "async fn f(x: Option<String>) {}", "write `.unwrap_or_default()` instead"),
        ("tags(String::from(x))", "async fn f(x: String) {}", "this moves `x`"),
        ("version = 1", "async fn f(pair: ((&[&str], u8), u8)) {}", "`pair` contains borrowed data"),
        ("version = 1", "async fn f(pair: (Cow<'_, str>, u8)) {}", "`pair` contains borrowed data"),
        ("version = 1", "async fn f(filter: &Filter<'_>) {}", "`filter` contains borrowed data"),
        ("version = 1", "async fn f(name: Option<Cow<'_, str>>) {}", "`name` contains borrowed data"),
        ("detached", "async fn f(x: &str) {}", "in an `Arc`"),
        ("detached", "async fn f(x: Cow<'_, str>) {}", "in an `Arc`"),
        ("detached, skip(x)", "async fn f(x: Option<&str>) {}", "in an `Arc`"),
        ("detached, skip(self)", "async fn f(&self) {}", "take `self: Arc<Self>`"),
        ("detached, skip(self)", "async fn f(self: &Self) {}", "take `self: Arc<Self>`"),
    ] {
        rejects(&format!("ttl = 60, {option}"), item, part);
    }
}

#[test]
fn valid_functions_are_accepted() {
    for (option, item) in [
        ("skip(self)", "async fn f(&self) {}"),
        ("skip(self), key = (id,)", "async fn f(&self, id: u8) {}"),
        ("key = self.id", "async fn f(&self) {}"),
        ("version = 1", "async fn f(a: &str, b: &[u64], c: Option<&str>, d: Vec<&'static str>) {}"),
        ("version = 1", "async fn f(a: Option<&[u8]>, b: ((&str, u8), u8), c: fn(&str) -> u8) {}"),
        (
            "version = 1",
            "async fn f(a: Option<(&str, u8)>, b: (Option<(&str, u8)>, Option<Option<&str>>)) {}",
        ),
        ("key = (a, b)", "async fn f(a: Option<(&str, u8)>, b: ((&str, u8), u8)) {}"),
        ("key = (x.as_bytes(), y(&x), || x?)", "async fn f(x: String) {}"),
        ("key = (x.into_inner(), y(x), (x, z))", "async fn f(x: UserId, z: u8) {}"),
        ("skip(names)", "async fn f(names: &[&str]) {}"),
        ("key = (names.len(),)", "async fn f(names: &[&str]) {}"),
        ("key = (self.id, id)", "async fn f(self: &Arc<Self>, id: u8) {}"),
        ("key = (self, id)", "async fn f(self, id: u8) {}"),
        ("detached, skip(self)", "async fn f(mut self, id: u8) {}"),
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
fn the_arguments_in_a_key_are_found() {
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
fn patterns_are_replaced_by_names() {
    let memo = memo(
        "ttl = 60",
        "async fn f(#[cfg(x)] a: A, mut b: B, _: C, (d, e): (D, E), ref g: G, h @ Some(_): Option<H>, _i: I) \
         {}",
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
            ("_i : I", "_i", 0),
        ]
    );
}

#[test]
fn companions_depend_on_the_place_of_the_function() {
    for (option, item, companions) in [
        ("version = 1", "async fn f() {}", Companions::Type),
        ("version = 1", "async fn f() { impl X { fn x() -> Self { X } } }", Companions::Type),
        ("skip(self)", "pub(self) async fn f(&self) {}", Companions::Method),
        ("version = 1", "pub async fn f() -> Self { X }", Companions::Method),
        ("version = 1", "pub async fn f() -> u8 { Self::X }", Companions::Method),
        ("version = 1", "pub async fn f(x: Box<dyn Into<Self>>) {}", Companions::Method),
        ("skip(self)", "async fn f(&self) {}", Companions::None),
        ("associated", "async fn f() {}", Companions::None),
        ("associated", "pub async fn f() {}", Companions::Method),
    ] {
        assert_eq!(memo(&format!("ttl = 60, {option}"), item).companions, companions, "{option} {item}");
    }
}

#[test]
fn methods_expanded_by_async_trait_are_recognized() {
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
    let Body::Boxed { before, pin, future, async_trait: true, .. } = memo.body else {
        panic!("not recognized");
    };
    assert!(before.is_empty());
    assert_eq!(pin.to_string(), "Box :: pin");
    assert!(future.to_string().starts_with("async move { if let"));
}

#[test]
fn other_boxed_futures_are_recognized() {
    let memo = memo(
        "ttl = 60",
        "fn f(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> { let m = n; std::boxed::Box::pin(g(m)) }",
    );
    assert_eq!(memo.companions, Companions::Type);
    let Body::Boxed { before, pin, future, async_trait: false, .. } = memo.body else {
        panic!("not recognized");
    };
    assert_eq!(before.to_string(), "let m = n ;");
    assert_eq!(pin.to_string(), "std :: boxed :: Box :: pin");
    assert_eq!(future.to_string(), "g (m)");
}
