#![allow(dead_code, reason = "only the types matter, not their values")]
#![allow(clippy::zero_sized_map_values, reason = "it tests such types")]

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, Error as _, IgnoredAny, Visitor};

use super::tracer::MAX_STEPS;
use super::{Schema, description, trace};

fn describe<V: DeserializeOwned>() -> String {
    super::describe::<V>(false)
}

fn steps<V: DeserializeOwned>() -> usize {
    trace::<V>(false).steps
}

/// Returns the description without its first line.
fn schema<V: DeserializeOwned>() -> String {
    let text = describe::<V>();
    text.split_once('\n').unwrap().1.to_owned()
}

/// Returns `true` if the description is complete: its first line has no paths.
fn is_complete<V: DeserializeOwned>() -> bool {
    !describe::<V>().lines().next().unwrap().contains("::")
}

#[derive(Deserialize)]
struct User {
    name: String,
    id: u64,
    address: Option<Address>,
    friends: Vec<User>,
}

#[derive(Deserialize)]
struct Address {
    city: String,
}

#[derive(Deserialize)]
enum Event {
    Stopped,
    Moved { x: i32, y: i32 },
    Named(String),
    At(f64, Box<Event>),
    Paused,
}

/// Frozen: another description would lose every stored value. `docs/WIRE.md` shows some of these.
#[test]
fn descriptions_and_fingerprints_are_stable() {
    #[derive(Deserialize)]
    struct Unit;
    #[derive(Deserialize)]
    struct Meters(f64);
    #[derive(Deserialize)]
    struct Pair(u8, Unit);
    #[derive(Deserialize)]
    struct Empty {}
    #[derive(Deserialize)]
    #[serde(rename = "a \"b\" \\")]
    struct Odd {
        #[serde(rename = "x:y")]
        z: (),
    }

    assert_eq!(describe::<u64>(), "u64\nu64");
    assert_eq!(describe::<Option<Option<String>>>(), "Option<Option<String>>\n??str");
    assert_eq!(
        describe::<User>(),
        "User\n\
         \"User\"\n\
         \"User\"{\"address\":?\"Address\",\"friends\":[\"User\"],\"id\":u64,\"name\":str}\n\
         \"Address\"{\"city\":str}"
    );
    assert_eq!(
        describe::<Event>(),
        "Event\n\
         \"Event\"\n\
         \"Event\"<\"At\"(f64,\"Event\"),\"Moved\"{\"x\":i32,\"y\":i32},\"Named\"=str,\"Paused\",\"Stopped\">"
    );
    assert_eq!(
        schema::<(bool, i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64, char, (), [u8; 2])>(),
        "(bool,i8,i16,i32,i64,i128,u8,u16,u32,u64,u128,f32,f64,char,unit,(u8,u8))"
    );
    assert_eq!(schema::<BTreeMap<u8, HashMap<String, Vec<bool>>>>(), "[u8:[str:[bool]]]");
    assert_eq!(schema::<Unit>(), "\"Unit\"\n\"Unit\"=unit");
    assert_eq!(schema::<Meters>(), "\"Meters\"\n\"Meters\"=f64");
    assert_eq!(schema::<Pair>(), "\"Pair\"\n\"Pair\"(u8,\"Unit\")\n\"Unit\"=unit");
    assert_eq!(schema::<Empty>(), "\"Empty\"\n\"Empty\"{}");
    assert_eq!(schema::<Odd>(), r#""a \"b\" \\""#.to_owned() + "\n" + r#""a \"b\" \\"{"x:y":unit}"#);
    assert_eq!(
        schema::<Result<u8, Address>>(),
        "\"Result\"\n\"Result\"<\"Err\"=\"Address\",\"Ok\"=u8>\n\"Address\"{\"city\":str}"
    );

    assert_eq!(Schema::of::<u64>(false).fingerprint, 0x2130_3d52_10bf_ad2a);
    assert_eq!(Schema::of::<User>(false).fingerprint, 0x7785_03d4_338c_ebd6);
    assert_eq!(Schema::of::<Event>(true).fingerprint, 0x0daf_703a_e43a_d992);
}

mod moved {
    #[derive(serde::Deserialize)]
    pub(super) struct Address {
        city: String,
    }

    /// Has its fields in another order.
    #[derive(serde::Deserialize)]
    pub(super) struct User {
        id: u64,
        friends: Vec<User>,
        name: String,
        address: Option<Address>,
    }
}

#[test]
fn module_and_field_order_do_not_count() {
    assert_eq!(describe::<Vec<moved::User>>(), describe::<Vec<User>>());
}

#[test]
fn the_name_of_a_transparent_type_counts() {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Meters(f64);
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Feet(f64);

    assert_eq!(schema::<Meters>(), schema::<Feet>());
    assert_ne!(describe::<Meters>(), describe::<Feet>());
    assert_ne!(describe::<Vec<Meters>>(), describe::<Vec<Feet>>());
}

#[test]
fn paths_and_lifetimes_are_removed() {
    for (name, short) in [
        ("alloc::vec::Vec<shop::model::User>", "Vec<User>"),
        ("(a::B, [c::D; 4], core::option::Option<e::F<g::H, 3>>)", "(B, [D; 4], Option<F<H, 3>>)"),
        ("alloc::boxed::Box<dyn a::B + core::marker::Send>", "Box<dyn B + Send>"),
        ("a::b::{{closure}}::C", "C"),
        ("<a::B as c::D>::e::F<g::H>", "<B as D>F<H>"),
        ("u8", "u8"),
        ("::", ""),
        ("größe::Maß", "Maß"),
    ] {
        assert_eq!(description::without_paths(name), short);
    }
    assert_eq!(describe::<std::borrow::Cow<'static, str>>(), "Cow<str>\nstr");
}

#[test]
fn types_with_the_same_name_are_distinguished() {
    mod other {
        #[derive(serde::Deserialize)]
        #[serde(rename = "Address")]
        pub(super) struct Place {
            street: String,
        }
    }
    #[derive(Deserialize)]
    struct Trip {
        a_from: Address,
        b_to: other::Place,
        c_back: Address,
    }
    #[derive(Deserialize)]
    #[serde(rename = "Trip")]
    struct Return {
        a_from: other::Place,
        b_to: Address,
        c_back: other::Place,
    }

    assert_eq!(
        schema::<Trip>(),
        "\"Trip\"\n\
         \"Trip\"{\"a_from\":\"Address\",\"b_to\":\"Address\"#2,\"c_back\":\"Address\"}\n\
         \"Address\"{\"city\":str}\n\
         \"Address\"#2{\"street\":str}"
    );
    assert_ne!(schema::<Trip>(), schema::<Return>());
}

#[test]
fn recursive_types_terminate() {
    #[derive(Deserialize)]
    enum List {
        Cons(u8, Box<List>),
        Nil,
    }
    #[derive(Deserialize)]
    enum Tree {
        Node { left: Box<Tree>, right: Box<Tree>, color: Color },
        Forest(Vec<Tree>, HashMap<String, Tree>),
        Leaf(Leaf),
    }
    #[derive(Deserialize)]
    enum Color {
        Red,
        Mixed(Box<Leaf>),
    }
    #[derive(Deserialize)]
    struct Leaf {
        parent: Option<Box<Tree>>,
    }
    /// Has no finite value.
    #[derive(Deserialize)]
    enum Endless {
        A(Box<Endless>),
        B { endless: Box<Endless> },
    }
    #[derive(Deserialize)]
    struct Newtype(Option<Box<Newtype>>);
    struct ByHand(Vec<ByHand>);
    impl<'de> Deserialize<'de> for ByHand {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Vec::deserialize(deserializer).map(Self)
        }
    }

    assert_eq!(schema::<List>(), "\"List\"\n\"List\"<\"Cons\"(u8,\"List\"),\"Nil\">");
    assert_eq!(
        schema::<Tree>(),
        "\"Tree\"\n\
         \"Tree\"<\"Forest\"([\"Tree\"],[str:\"Tree\"]),\"Leaf\"=\"Leaf\",\
         \"Node\"{\"color\":\"Color\",\"left\":\"Tree\",\"right\":\"Tree\"}>\n\
         \"Leaf\"{\"parent\":?\"Tree\"}\n\
         \"Color\"<\"Mixed\"=\"Leaf\",\"Red\">"
    );
    assert_eq!(
        schema::<Endless>(),
        "\"Endless\"\n\"Endless\"<\"A\"=\"Endless\",\"B\"{\"endless\":\"Endless\"}>"
    );
    assert_eq!(schema::<Newtype>(), "\"Newtype\"\n\"Newtype\"=?\"Newtype\"");
    assert_eq!(schema::<ByHand>(), "[^]");
    assert!(is_complete::<Tree>() && is_complete::<Endless>() && is_complete::<ByHand>());
}

/// Every variant is explored, also those of an enum inside another one.
#[test]
fn nested_enums_are_explored() {
    #[derive(Deserialize)]
    struct Outer {
        first: Inner<u8>,
        second: Option<Inner<String>>,
        list: Vec<(Inner<bool>, Inner<u8>)>,
    }
    #[derive(Deserialize)]
    enum Inner<T> {
        A(Deep),
        B(T),
        C,
    }
    #[derive(Deserialize)]
    enum Deep {
        X { a: u8 },
        Y { b: Deeper },
    }
    #[derive(Deserialize)]
    enum Deeper {
        M,
        N(char),
    }

    let text = schema::<Outer>();
    for line in [
        "\"Inner\"<\"A\"=\"Deep\",\"B\"=u8,\"C\">",
        "\"Inner\"#2<\"A\"=\"Deep\",\"B\"=bool,\"C\">",
        "\"Inner\"#3<\"A\"=\"Deep\",\"B\"=str,\"C\">",
        "\"Deep\"<\"X\"{\"a\":u8},\"Y\"{\"b\":\"Deeper\"}>",
        "\"Deeper\"<\"M\",\"N\"=char>",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(is_complete::<Outer>());
}

#[test]
fn every_change_of_a_type_changes_its_description() {
    macro_rules! versions {
        ($($item:item)*) => {
            [$({
                #[derive(Deserialize)]
                $item
                describe::<T>()
            }),*]
        };
    }

    let texts = versions! {
        struct T { a: u32, b: Option<u8> }
        struct T { a: u64, b: Option<u8> }
        struct T { a: u32, b: u8 }
        struct T { a: u32, b: Option<u8>, #[serde(default)] c: bool }
        struct T { a: u32, b: Option<u8>, #[serde(default)] d: bool }
        struct T { a: u32 }
        struct T { a: u32, #[serde(rename = "c")] b: Option<u8> }
        struct T { a: u32, #[serde(alias = "c")] b: Option<u8> }
        #[serde(rename = "U")] struct T { a: u32, b: Option<u8> }
        struct T(u32, Option<u8>);
        struct T(u32);
        struct T((u32,));
        struct T;
        struct T {}
        enum T { A, B }
        enum T { A, B, C }
        enum T { A, B(()) }
        enum T { A, B(u8) }
        enum T { A, B((u8,)) }
        enum T { A, B(u8, u8) }
        enum T { A, B((u8, u8)) }
        enum T { A, B { a: u8 } }
        enum T { A, B { a: Vec<u8> } }
        enum T { A, B { a: [u8; 1] } }
        enum T { A, B { a: [u8; 2] } }
        enum T { A, B { a: BTreeMap<u8, ()> } }
    };
    for (at, text) in texts.iter().enumerate() {
        assert!(!texts[..at].contains(text), "{text}");
        assert!(!text.lines().next().unwrap().contains("::"), "{text}");
    }
}

#[test]
fn aliases_are_listed_as_fields() {
    #[derive(Deserialize)]
    struct Aliased {
        #[serde(alias = "a", alias = "z")]
        m: u8,
        n: bool,
    }
    assert_eq!(schema::<Aliased>(), "\"Aliased\"\n\"Aliased\"{\"a\":u8,\"m\",\"n\":bool,\"z\"}");
    assert!(is_complete::<Aliased>());
}

/// Rejects all strings but one kind, as a date or a URL does.
struct Picky<const WANTED: char>;

impl<'de, const WANTED: char> Deserialize<'de> for Picky<WANTED> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with(WANTED) { Ok(Self) } else { Err(D::Error::custom("rejected")) }
    }
}

type Never = Picky<'\u{1}'>;

impl<const WANTED: char> std::hash::Hash for Picky<WANTED> {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}
impl<const WANTED: char> PartialEq for Picky<WANTED> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<const WANTED: char> Eq for Picky<WANTED> {}

#[test]
fn a_part_that_rejects_values_does_not_hide_the_rest() {
    #[derive(Deserialize)]
    struct Record {
        never: Never,
        date: Picky<'1'>,
        count: NonZeroU32,
        kind: Kinds,
        nevers: Vec<Never>,
        last: Address,
    }
    #[derive(Deserialize)]
    enum Kinds {
        Never(Never),
        Pair { one: Never, two: Kind2 },
        Last(u8),
    }
    #[derive(Deserialize)]
    enum Kind2 {
        A,
        B(i64),
    }

    assert_eq!(
        schema::<Record>(),
        "\"Record\"\n\
         \"Record\"{\"count\":u32,\"date\":str,\"kind\":\"Kinds\",\"last\":\"Address\",\"never\":str,\"nevers\":[str]}\n\
         \"Kinds\"<\"Last\"=u8,\"Never\"=str,\"Pair\"{\"one\":str,\"two\":\"Kind2\"}>\n\
         \"Address\"{\"city\":str}\n\
         \"Kind2\"<\"A\",\"B\"=i64>"
    );
    assert!(is_complete::<Record>());
    assert_eq!(schema::<HashMap<Picky<'0'>, (Picky<'a'>, u8)>>(), "[str:(str,u8)]");
}

#[test]
fn an_incomplete_description_has_the_path_of_the_type() {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        User { id: u64 },
    }
    #[derive(Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Number { id: u64 },
        Other,
    }
    /// With a tag, serde reads units and structs as whatever the data contains.
    #[derive(Deserialize)]
    #[serde(tag = "type", content = "of")]
    enum Adjacent {
        None,
        Number(u64),
        Fields { a: u8 },
    }
    #[derive(Deserialize)]
    struct Flat {
        id: u64,
        #[serde(flatten)]
        address: Address,
    }
    #[derive(Deserialize)]
    struct Around {
        flat: Flat,
        tagged: Tagged,
        untagged: Untagged,
        id: u64,
    }

    for (text, schema) in [
        (describe::<Untagged>(), "any"),
        (describe::<Tagged>(), "any"),
        (
            describe::<Adjacent>(),
            "\"Adjacent\"\n\
             \"Adjacent\"{\"of\":{any|u64},\"type\":\"Adjacent\"#2}\n\
             \"Adjacent\"#2<\"Fields\",\"None\",\"Number\">",
        ),
        (describe::<Flat>(), "[any:any]"),
        (describe::<(Never, u8)>(), "(str,_)"),
        (describe::<HashMap<Never, u8>>(), "[str:_]"),
    ] {
        let (name, found) = text.split_once('\n').unwrap();
        assert_eq!(found, schema);
        assert!(name.contains("cached_runtime::shared::schema::tests::"), "{name}");
    }
    let text = describe::<Around>();
    let around = "\"Around\"\n\"Around\"{\"flat\":[any:any],\"id\":u64,\"tagged\":any,\"untagged\":any}";
    assert_eq!(text.split_once('\n').unwrap().1, around);
    assert!(text.starts_with("cached_runtime::shared::schema::tests::"), "{text}");
}

#[test]
fn content_that_depends_on_a_tag_is_explored() {
    #[derive(Deserialize)]
    #[serde(tag = "type", content = "of")]
    enum Adjacent {
        Never(Never),
        Number(u64),
        Deep(Deep),
        Again(Address),
    }
    #[derive(Deserialize)]
    enum Deep {
        X,
        Y(i8),
        Z { z: bool },
    }
    assert_eq!(
        describe::<Adjacent>(),
        "Adjacent\n\
         \"Adjacent\"\n\
         \"Adjacent\"{\"of\":{str|u64|\"Deep\"|\"Address\"},\"type\":\"Adjacent\"#2}\n\
         \"Deep\"<\"X\",\"Y\"=i8,\"Z\"{\"z\":bool}>\n\
         \"Address\"{\"city\":str}\n\
         \"Adjacent\"#2<\"Again\",\"Deep\",\"Never\",\"Number\">"
    );
}

#[test]
fn standard_types_are_complete() {
    use std::net::SocketAddr;
    use std::ops::{Bound, RangeInclusive};
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    type Some = (Duration, SystemTime, SocketAddr, RangeInclusive<u8>, Bound<i8>, PathBuf, std::ffi::CString);
    assert!(is_complete::<Some>(), "{}", describe::<Some>());
    assert!(is_complete::<(Box<str>, IgnoredAny, PhantomData<u8>, Box<[NonZeroU32]>)>());
    assert_ne!(
        super::describe::<std::net::IpAddr>(true),
        super::describe::<std::net::IpAddr>(false),
        "a string in human-readable codecs, numbers in others"
    );
}

#[test]
fn a_panic_while_deserializing_is_caught() {
    struct Panics;
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            assert!(!text.is_empty() && !text.starts_with('1'), "this panic belongs to the test");
            Ok(Self)
        }
    }
    #[derive(Deserialize)]
    struct Around {
        panics: Panics,
        kind: Event,
        id: u8,
    }
    let text = schema::<Around>();
    assert!(
        text.starts_with("\"Around\"\n\"Around\"{\"id\":u8,\"kind\":\"Event\",\"panics\":str}\n\"Event\"<"),
        "{text}"
    );
    assert!(is_complete::<Around>());
}

/// Adversarial types.
#[test]
fn steps_length_and_stack_are_bounded() {
    /// Requests elements forever.
    struct Greedy;
    impl<'de> Deserialize<'de> for Greedy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Reader;
            impl<'de> Visitor<'de> for Reader {
                type Value = Greedy;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("everything")
                }
                fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Greedy, A::Error> {
                    while seq.next_element::<[u8; 8]>().is_ok() {}
                    Ok(Greedy)
                }
            }
            deserializer.deserialize_tuple(usize::MAX, Reader)
        }
    }
    /// Is another type each time.
    struct Fickle;
    impl<'de> Deserialize<'de> for Fickle {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            static CALLS: AtomicUsize = AtomicUsize::new(0);
            struct Reader;
            impl<'de> Visitor<'de> for Reader {
                type Value = Fickle;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("everything")
                }
                fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Fickle, D::Error> {
                    Fickle::deserialize(inner)
                }
            }
            let name = format!("name {}", CALLS.fetch_add(1, Relaxed));
            deserializer.deserialize_newtype_struct(name.leak(), Reader)
        }
    }
    /// Has a million parts.
    #[derive(Deserialize)]
    struct Twice<T>(Box<T>, Box<T>);
    type Many = Twice<Twice<Twice<Twice<Few>>>>;
    #[derive(Deserialize)]
    struct Few(Twice<Twice<Twice<Twice<Fewer>>>>);
    #[derive(Deserialize)]
    struct Fewer(Twice<Twice<Twice<Twice<Least>>>>, Twice<Twice<Twice<Twice<Least>>>>);
    #[derive(Deserialize)]
    struct Least(Twice<Twice<Twice<Twice<Vec<Event>>>>>, [[[u8; 8]; 8]; 8]);

    let check = || {
        for (what, steps, text) in [
            ("greedy", steps::<Greedy>(), describe::<Greedy>()),
            ("fickle", steps::<Fickle>(), describe::<Fickle>()),
            ("many", steps::<Many>(), describe::<Many>()),
        ] {
            assert!(
                steps <= MAX_STEPS + 100 && text.len() < MAX_STEPS * 10,
                "{what}: {steps}, {}",
                text.len()
            );
        }
    };
    // The stack is bounded too; a debug build needs the most.
    std::thread::Builder::new().stack_size(256 << 10).spawn(check).unwrap().join().unwrap();
}

/// A step takes some 100 ns, once for each function.
#[test]
fn most_types_need_few_steps() {
    #[derive(Deserialize)]
    struct Order {
        id: u64,
        customer: User,
        items: Vec<(String, u32, Event)>,
        labels: HashMap<String, Event>,
        first: Option<Event>,
        last: Event,
    }
    assert_eq!(steps::<u64>(), 1);
    assert!(steps::<User>() < 50, "{}", steps::<User>());
    assert!(steps::<Order>() < 500, "{}", steps::<Order>());
}
