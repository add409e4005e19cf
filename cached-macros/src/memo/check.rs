//! Checks that the options fit together, and that the function can be cached with them.

use syn::visit::Visit;
use syn::{GenericArgument, ParenthesizedGenericArguments, PathArguments, Type, TypeFnPtr, TypeReference};

use crate::args::{Args, Backend, Opt, ShareErr, SingleFlight};
use crate::errors::Errors;
use crate::item::{FnItem, SelfKind, SelfParam, peel, scan};

pub(super) fn check_options(args: &Args, errors: &mut Errors) {
    let is_memory = match &args.backend {
        Some(backend) => Some(matches!(backend.value, Backend::Memory)),
        None if args.has("backend") => None,
        None => Some(true),
    };
    if let (Some(true), Some(codec)) = (is_memory, &args.codec) {
        errors.push(
            &codec.name,
            "values in memory are not encoded; leave `codec` out, or add a shared store with `backend = \
             \"redis\"`",
        );
    }
    if let (Some(true), Some(readable)) = (is_memory, &args.readable) {
        errors.push(
            &readable.name,
            "values in memory have no names that anybody could read; leave `readable` out, or add a shared store with \
             `backend = \"redis\"`",
        );
    }
    if let (Some(true), Some(Opt { value: SingleFlight::Fleet, name, .. })) = (is_memory, &args.single_flight)
    {
        errors.push(
            name,
            "`single_flight = \"fleet\"` needs a store that processes share; add `backend = \"redis\"`, or \
             write `single_flight = \"process\"`",
        );
    }
    if let (Some(_), Some(Opt { value: ShareErr::Off, name, .. })) = (&args.cache_err, &args.share_err) {
        errors.push(
            name,
            "`cache_err` gives the error to other calls; leave `share_err = \"off\"` or `cache_err` out",
        );
    }
    // What a function needs whose tier is chosen when it runs applies to the tier that is chosen.
    let is_chosen_at_run_time =
        args.backend.as_ref().is_some_and(|backend| matches!(backend.value, Backend::Shared));
    if is_memory == Some(false) && !is_chosen_at_run_time && !args.has("near") {
        if let Some(name) = args.first(&["capacity", "max_bytes", "weigh"]) {
            errors.push(
                name,
                format!(
                    "`{name}` limits the values in memory, which `backend = \"memory\"` and `\"shared\"` \
                     have; leave `{name}` out"
                ),
            );
        }
        return;
    }
    if let Some(second) = args.second(&["capacity", "max_bytes"]) {
        errors.push(
            second,
            "`capacity` limits the number of entries and `max_bytes` their size; leave one of them out",
        );
        return;
    }
    match (args.has("max_bytes"), args.has("weigh")) {
        (true, false) => {
            if let Some(max) = &args.max_bytes {
                errors.push(
                    &max.name,
                    "`max_bytes` needs the size of each entry; add `weigh = |key, value| ...`, which returns \
                     bytes as a `u64`",
                );
            }
        }
        (false, true) => {
            if let Some(weigh) = &args.weigh {
                errors.push(
                    &weigh.name,
                    "`weigh` has no effect without `max_bytes`; add `max_bytes = \"64MiB\"`",
                );
            }
        }
        _ => {}
    }
}

/// Rejects a value that cannot be read from a shared store, because it is a reference.
pub(super) fn check_stored(item: &FnItem, args: &Args, errors: &mut Errors) {
    if !is_shared(args) {
        return;
    }
    let (success, error) = success_and_error(&item.output);
    let stored = std::iter::once(success).chain(error.filter(|_| args.has("cache_err")));
    for reference in stored.filter_map(static_reference) {
        let owned = owned(&Type::Reference(reference.clone()), true);
        errors.push(
            reference,
            format!("a value in a shared store is decoded, which makes no `&'static` reference; {owned}"),
        );
    }
}

fn is_shared(args: &Args) -> bool {
    matches!(&args.backend, Some(backend) if !matches!(backend.value, Backend::Memory))
}

/// The types in a `Result`, as far as it is recognized by its name.
fn success_and_error(output: &Type) -> (&Type, Option<&Type>) {
    if let Type::Path(path) = peel(output)
        && let Some(last) = path.path.segments.last()
        && last.ident == "Result"
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
    {
        let mut types = arguments.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        });
        if let Some(success) = types.next() {
            return (success, types.next());
        }
    }
    (output, None)
}

/// The first `&'static T` in a type.
fn static_reference(ty: &Type) -> Option<&TypeReference> {
    struct Find<'a>(Option<&'a TypeReference>);
    impl<'a> Visit<'a> for Find<'a> {
        fn visit_type_reference(&mut self, ty: &'a TypeReference) {
            if ty.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static") {
                self.0.get_or_insert(ty);
            }
        }

        // What a function pointer takes and returns is not in the value.
        fn visit_type_fn_ptr(&mut self, _: &'a TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(&mut self, _: &'a ParenthesizedGenericArguments) {}
    }
    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}

pub(super) fn check_function(item: &FnItem, args: &Args, errors: &mut Errors) {
    let sig = &item.sig;
    for param in &item.params {
        if let Some(ref_mut) = &param.scan.ref_mut {
            errors.push(
                ref_mut,
                "a cache hit does not run the body, so changes through `&mut` would be lost; return the new \
                 value instead",
            );
        }
    }
    if let Some(SelfParam { arg, kind: SelfKind::RefMut }) = &item.receiver {
        let mut receiver = arg.clone();
        receiver.attrs.clear();
        errors.push(
            receiver,
            "a cache hit does not run the body, so changes to `self` would be lost; take `&self`",
        );
    }

    if let Some(constness) = &sig.constness {
        return errors
            .push(constness, "a `const fn` cannot be cached, because it cannot await; write `async fn`");
    }
    if let Some(abi) = &sig.abi {
        return errors.push(abi, "an `extern` function cannot be cached; call it in an `async fn`");
    }
    if let Some(variadic) = &sig.variadic {
        return errors
            .push(variadic.dots, "variadic arguments cannot be part of the cache key; take a slice");
    }
    if item.body.is_none() {
        return errors.push(sig.fn_token, "only an `async fn` can be cached; write `async fn`");
    }

    let output = scan(&item.output);
    if let Some(impl_trait) = output.impl_trait {
        errors.push(
            impl_trait,
            "a value of type `impl Trait` cannot be cached, because its type has no \
             name; name the type, or box the value",
        );
    } else if let Some(and) = output.reference {
        errors.push(
            and,
            format!(
                "a borrowed value cannot be cached, because the cache outlives the call; {}",
                owned(&item.output, is_shared(args))
            ),
        );
    } else if let Some(lifetime) = output.lifetime {
        errors.push(
            lifetime,
            "a borrowed value cannot be cached, because the cache outlives the call; \
             return a type that owns its data",
        );
    }
}

pub(super) fn check_detached(item: &FnItem, args: &Args, errors: &mut Errors) {
    let Some(detached) = &args.detached else { return };
    let message = if detached.name == "detached" {
        "a detached computation runs in a task of its own, which cannot borrow from the caller; take this by \
         value, or in an `Arc`"
            .to_owned()
    } else {
        format!(
            "`{}` computes in a background task, which cannot borrow from the caller; take this by value, or \
             in an `Arc`",
            detached.name
        )
    };
    let message = message.as_str();
    if let Some(receiver) = item.receiver.as_ref().filter(|receiver| receiver.kind == SelfKind::Ref)
        && let Some(and) = receiver.reference()
    {
        errors.push(and, message.replace("take this by value, or in an `Arc`", "take `self: Arc<Self>`"));
    }
    for scan in item.params.iter().map(|param| &param.scan).filter(|scan| scan.ref_mut.is_none()) {
        match (&scan.reference, &scan.lifetime) {
            (Some(and), _) => errors.push(and, message),
            (None, Some(lifetime)) => errors.push(lifetime, message),
            (None, None) => {}
        }
    }
}

/// What to return instead of a reference. Only a feature of serde encodes what is in an `Arc`.
fn owned(output: &Type, is_shared: bool) -> String {
    let Type::Reference(reference) = peel(output) else {
        return "return a type that owns its data".to_owned();
    };
    let (owned, counted) = match peel(&reference.elem) {
        Type::Path(path) if path.path.is_ident("str") => ("a `String`", "an `Arc<str>`"),
        Type::Slice(_) => ("a `Vec`", "an `Arc` of the slice"),
        _ => ("it by value", "in an `Arc`"),
    };
    if is_shared { format!("return {owned}") } else { format!("return {owned}, or {counted}") }
}
