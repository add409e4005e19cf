//! Writes what a memoized function becomes.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Expr, GenericParam, Generics, Lifetime, LitStr, Meta, ReceiverKind, Type, TypeReference,
    parse_quote,
};

use crate::args::{Amount, Backend, Codec, Opt, SingleFlight, Tag, Template};
use crate::item::{Body, Param};
use crate::memo::{Bound, Companions, Life, Memo, Part};

pub(crate) fn expand(memo: &Memo) -> TokenStream {
    match memo.companions {
        Companions::Type => beside_a_function(memo),
        Companions::Method => beside_a_method(memo),
        Companions::None => alone(memo),
    }
}

// Input:
//
//     #[async_cached(ttl = 60, skip(db))]
//     async fn user(db: &Db, id: u64) -> User { body }
//
// Output:
//
//     async fn user(db: &Db, id: u64) -> User {
//         use cached_runtime::__private;
//         let looked = user::__at(Look, (Arg::new(&id).part(),));
//         looked.or(move || user::uncached(db, id)).await
//     }
//     struct user {}
//     impl user {
//         async fn uncached(db: &Db, id: u64) -> User { body }
//     }
//     impl user {
//         companions! {
//             [Self::__entry] (id: u64,) => (Arg::new(&id).part_again(),);
//             (db: &Db, id: u64) -> User, looked => looked.or(move || Self::uncached(db, id)).await
//         }
//         fn __at<V: Verb<User>, K: Parts>(verb: V, key: K) -> V::Out {
//             use cached_runtime::__private;
//             static SITE: Site = Site::new(|| Policy::new().ttl(Duration::new(60, 0)));
//             At::new(SITE.instance(&Self::clear), key, Shape::<User>::new().kind(), Shape::<User>::new().absent())
//                 .memory(verb)
//         }
//     }
//
// What is not a name of the user's comes from `__private`; each body brings it into its scope.
fn beside_a_function(memo: &Memo) -> TokenStream {
    let name = &memo.item.sig.ident;
    let (vis, krate) = (&memo.item.vis, &memo.krate);
    let (cfgs, uncached_attrs, companion_attrs) = (cfgs(memo), uncached_attrs(), companion_attrs());
    let (turbofish, at_turbofish) = (turbofish(memo), at_turbofish(memo));
    let key_params = key_params(memo);

    let wrapper = wrapper(memo, &quote!(#name::__entry #at_turbofish), &quote!(#name::uncached #turbofish));
    let uncached = uncached(memo, &format_ident!("uncached"));
    let own_at = quote!(Self::__entry #at_turbofish);
    let computing = computing(memo, &own_at, &quote!(Self::uncached #turbofish));
    let at = at(memo, &format_ident!("__entry"), &quote!(Self::clear #turbofish));
    let doc = format!(
        "What has been remembered of [`{name}()`]({name}()): `invalidate`, `expire`, `put` and `peek` take what makes \
         the key, `lookup`, `refresh` and `uncached` every argument, `clear` and `stats` nothing."
    );

    quote! {
        #wrapper

        #(#cfgs)*
        #[doc = #doc]
        #companion_attrs
        #vis struct #name {}

        #(#cfgs)*
        #uncached_attrs
        impl #name {
            #uncached
        }

        #(#cfgs)*
        #companion_attrs
        impl #name {
            #krate::__private::companions! { (#(#key_params,)*) #computing }
            #at
        }
    }
}

// Beside a method `find` no type can stand. So there are `find_uncached`, `find_refresh`, `find_lookup` and `find_cache`,
// which returns the other verbs:
//
//     fn find_cache<'key>() -> MethodCache<(u64, &'key str), User> {
//         MethodCache::new(
//             |verb, (id, lang)| Self::__find_any(verb, id, lang),
//             || Self::__find_at(Clear, ()),
//             || Self::__find_at(Count, ()),
//         )
//     }
fn beside_a_method(memo: &Memo) -> TokenStream {
    let name = memo.item.sig.ident.unraw();
    let beside = |prefix: &str, suffix: &str| {
        format_ident!("{prefix}{name}{suffix}", span = memo.item.sig.ident.span())
    };
    let (at_name, any_name) = (beside("__", "_entry"), beside("__", "_operation"));
    let (uncached_name, refresh_name) = (beside("", "_uncached"), beside("", "_refresh"));
    let (lookup_name, cache_name) = (beside("", "_lookup"), beside("", "_cache"));
    let (vis, output, krate) = (&memo.item.vis, &memo.item.output, &memo.krate);
    let (scope, p) = (scope(memo), private());
    let (cfgs, uncached_attrs, companion_attrs) = (cfgs(memo), uncached_attrs(), companion_attrs());
    let (generics, _, where_clause) = memo.item.sig.generics.split_for_impl();
    let (turbofish, at_turbofish) = (turbofish(memo), at_turbofish(memo));
    let (key, key_params) = (key(memo, Check::Elsewhere), key_params(memo));

    let own_at = quote!(Self::#at_name #at_turbofish);
    let own_uncached = quote!(Self::#uncached_name #turbofish);
    let wrapper = wrapper(memo, &own_at, &own_uncached);
    let uncached = uncached(memo, &uncached_name);
    let computing = computing(memo, &own_at, &own_uncached);
    let at = at(memo, &at_name, &quote!(Self::#cache_name #turbofish));

    let lifetime = Lifetime::new("'__key", Span::mixed_site());
    let mut cache_generics = memo.item.sig.generics.clone();
    cache_generics.params.insert(0, parse_quote!(#lifetime));
    let (cache_generics, _, _) = cache_generics.split_for_impl();
    let (names, types): (Vec<_>, Vec<_>) = handle_params(memo, &lifetime).into_iter().unzip();
    // A method takes its `self` first, and the verb after it.
    let (this, arguments) = names.split_at(usize::from(memo.key.uses_self));
    let (pattern, key_type) = match (&*names, &*types) {
        ([name], [ty]) => (quote!(#name), quote!(#ty)),
        _ => (quote!((#(#names),*)), quote!((#(#types),*))),
    };
    let receiver =
        memo.key.uses_self.then(|| memo.item.receiver.as_ref().map(|receiver| &receiver.arg)).flatten();
    let receiver = receiver.into_iter();
    let operation = ours("__operation");
    let doc = format!("What has been remembered of [`{name}`](Self::{name}()).");

    quote! {
        #wrapper

        #(#cfgs)*
        #uncached_attrs
        #uncached

        #(#cfgs)*
        #krate::__private::computing! { #refresh_name #lookup_name #computing }

        #(#cfgs)*
        #[doc = #doc]
        #companion_attrs
        #vis fn #cache_name #cache_generics () -> #krate::MethodCache<#key_type, #output> #where_clause {
            #scope
            #krate::MethodCache::new(
                |#operation, #pattern| Self::#any_name #turbofish (#(#this,)* #operation, #(#arguments),*),
                || Self::#at_name #at_turbofish (#p::Clear, ()),
                || Self::#at_name #at_turbofish (#p::ReadStats, ()),
            )
        }

        #(#cfgs)*
        #companion_attrs
        fn #any_name #generics (#(#receiver,)* #operation: #krate::__private::AnyOperation<#output>, #(#key_params),*) -> #krate::BoxFuture<'static, #krate::__private::AnyOutput<#output>> #where_clause {
            #scope
            Self::#at_name #at_turbofish (#operation, #key)
        }

        #(#cfgs)*
        #companion_attrs
        #at
    }
}

// In the impl of a trait nothing can stand beside the method:
//
//     async fn find(&self, id: u64) -> User {
//         static SITE: Site = Site::new(...);
//         let looked = SITE.instance(&|| ()).at((Arg::new(&id).part(),), ...).memory(Look);
//         looked.or(move || async move { body }).await
//     }
fn alone(memo: &Memo) -> TokenStream {
    let (attrs, vis, scope, p) = (&memo.item.attrs, &memo.item.vis, scope(memo), private());
    let lints = underscore_lint(memo);
    let found = ours("__found");
    let look = chain(memo, &quote!(&|| ()), &key(memo, Check::Here), &quote!(#p::Get));
    let rebound = rebound(memo);
    match &memo.body {
        Body::Async(body) => {
            let sig = outer_sig(memo);
            let typed = typed(memo);
            // A block of ours, or rustc has something to say about braces that the user can not leave out.
            let mut body = body.clone();
            body.set_span(Span::mixed_site());
            let or = or(memo, &found, &quote!(async move { #typed #rebound #body }));
            quote! {
                #(#attrs)*
                #lints
                #vis #sig {
                    #scope
                    let #found = { #look };
                    #or
                }
            }
        }
        Body::Boxed { before, pin, future, .. } => {
            let sig = &memo.item.sig;
            let or = or(memo, &found, future);
            quote! {
                #(#attrs)*
                #lints
                #vis #sig {
                    #before
                    #pin(async move {
                        #scope
                        let #found = { #look };
                        #or
                    })
                }
            }
        }
    }
}

/// The function under its own name.
fn wrapper(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (attrs, vis) = (memo.item.attrs.iter().map(allowed), &memo.item.vis);
    let (scope, p) = (scope(memo), private());
    let (sig, lints, key) = (outer_sig(memo), underscore_lint(memo), key(memo, Check::Here));
    let found = ours("__found");
    let or = or(memo, &found, &run(memo, uncached));
    // Two statements: what the first one borrows is not to be kept while the second one waits.
    let answer = quote! {
        #scope
        let #found = #at(#p::Get, #key);
        #or
    };
    let body = match &memo.body {
        Body::Async(_) => quote!({ #answer }),
        Body::Boxed { pin, .. } => quote!({ #pin(async move { #answer }) }),
    };
    quote! {
        #(#attrs)*
        #lints
        #vis #sig #body
    }
}

/// What the macros of the runtime have to know to write the companions that run the function.
fn computing(memo: &Memo, at: &TokenStream, uncached: &TokenStream) -> TokenStream {
    let (vis, output) = (&memo.item.vis, &memo.item.output);
    let safety = if is_unsafe(memo) { quote!(unsafe) } else { TokenStream::new() };
    let (sig, found) = (outer_sig(memo), ours("__found"));
    let (generics, _, where_clause) = sig.generics.split_for_impl();
    let (params, key) = (&sig.inputs, key(memo, Check::Elsewhere));
    let answer = or(memo, &found, &run(memo, uncached));
    quote! {
        [#at] => #key;
        #vis, [#safety] [#generics] (#params) -> #output, [#where_clause] #found => #answer
    }
}

/// The function as the user wrote it, under another name.
fn uncached(memo: &Memo, name: &Ident) -> TokenStream {
    let lints = memo.item.attrs.iter().filter(|attr| is_lint(attr));
    let vis = &memo.item.vis;
    let mut sig = memo.item.sig.clone();
    sig.ident = name.clone();
    let body = match &memo.body {
        Body::Async(body) => quote!(#body),
        Body::Boxed { before, pin, future, .. } => quote!({ #before #pin(#future) }),
    };
    quote!(#(#lints)* #vis #sig #body)
}

/// The one place where the types of the key and the value, the policy and the static come together.
fn at(memo: &Memo, name: &Ident, marker: &TokenStream) -> TokenStream {
    let (output, krate, scope) = (&memo.item.output, &memo.krate, scope(memo));
    let (verb_type, key_type) = (ours("__Operation"), ours("__Key"));
    let parts = if is_memory(memo) { quote!(KeyParts) } else { quote!(SharedKeyParts) };
    let generics = with_params(
        &memo.item.sig.generics,
        &[
            quote!(#verb_type: #krate::__private::Operation<#output>),
            quote!(#key_type: #krate::__private::#parts),
        ],
    );
    let (generics, _, where_clause) = generics.split_for_impl();
    let (operation, key) = (ours("__operation"), ours("__key"));
    let chain = chain(memo, &quote!(&#marker), &quote!(#key), &quote!(#operation));
    quote! {
        fn #name #generics (#operation: #verb_type, #key: #key_type) -> #verb_type::Out #where_clause {
            #scope
            #chain
        }
    }
}

/// From the static to the verb. All of it stands where the output does, whose type has to suit.
fn chain(memo: &Memo, marker: &TokenStream, key: &TokenStream, operation: &TokenStream) -> TokenStream {
    let (start, end) = across(&memo.item.output);
    let (p, at_output) = (private(), private_at(start));
    let (site, policy) = (ours("__FUNCTION"), policy(memo));
    let (kind, absent) = (kind(memo), absent(memo));
    let ttl_from = match &memo.life {
        Life::FromValue(option) => Some(option),
        Life::Ttl(_) => None,
    };
    let functions = [
        ("cache_if", memo.cache_if.as_ref()),
        ("ttl_from", ttl_from),
        ("tags_from", memo.tags_from.as_ref()),
    ];

    let arguments = quote_spanned!(end=> (#site.instance(#marker), #key, #kind, #absent));
    let new = Ident::new("new", end);
    let mut at = quote_spanned!(start=> #at_output::EntryRef::#new #arguments);
    for (name, option) in functions.into_iter().filter_map(|(name, option)| Some((name, option?))) {
        let (name, expr) = (Ident::new(name, option.name.span()), &option.value);
        let expr = quote_spanned!(end=> (#expr));
        at = quote_spanned!(start=> #at.#name #expr);
    }
    if let Some(timeout) = &memo.timeout {
        let (output, span) = (&memo.item.output, timeout.name.span());
        let p = private_at(span);
        let timed_out = quote_spanned!(span=> #p::timed_out::<#output>);
        at = quote_spanned!(start=> #at.timed_out(#timed_out));
    }
    let tier = if is_memory(memo) { quote_spanned!(end=> memory) } else { quote_spanned!(end=> shared) };
    let operation = quote_spanned!(end=> (#operation));
    let code = quote! {
        static #site: #p::CachedFunction = #p::CachedFunction::new(|| #policy);
        #at.#tier #operation
    };
    let span = memo.backend.span;
    let feature = match &memo.backend.value {
        Backend::Memory => return code,
        Backend::Redis => Ident::new("redis", span),
        Backend::Memcached => Ident::new("memcached", span),
        Backend::Store(_) => Ident::new("store", span),
    };
    if_on(&feature, &quote!({ #code }))
}

/// Code that is there if a feature of the runtime is on; if not, there is one error, where it was asked for.
fn if_on(feature: &Ident, code: &TokenStream) -> TokenStream {
    let p = private_at(feature.span());
    quote_spanned!(feature.span()=> #p::#feature! { #code })
}

/// The options that need no type, each a call.
fn policy(memo: &Memo) -> TokenStream {
    let p = private();
    let mut policy = quote!(#p::Policy::new());
    let ttl = match &memo.life {
        Life::Ttl(ttl) => Some(ttl),
        Life::FromValue(_) => None,
    };
    for (setter, option) in [
        ("ttl", ttl),
        ("ttl_of_errors", memo.cache_err.as_ref()),
        ("ttl_of_none", memo.cache_none.as_ref()),
        ("stale_while_revalidate", memo.stale_while_revalidate.as_ref()),
        ("stale_if_error", memo.stale_if_error.as_ref()),
        ("timeout", memo.timeout.as_ref()),
    ] {
        let Some(option) = option else { continue };
        let setter = Ident::new(setter, option.name.span());
        policy.extend(match &option.value {
            Amount::Known(duration) => {
                let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
                quote!(.#setter(#p::Duration::new(#seconds, #nanos)))
            }
            Amount::Expr(expr) => quote!(.#setter(#expr)),
        });
    }
    if let Some(Opt { value: fraction, .. }) = &memo.refresh_ahead {
        policy.extend(quote!(.refresh_ahead(#fraction)));
    }
    if let Some(Opt { value: fraction, .. }) = &memo.jitter {
        policy.extend(quote!(.jitter_of(#fraction)));
    }
    if memo.tags.is_some() {
        policy.extend(quote!(.tagged()));
    }
    match &memo.bound {
        Bound::Default => {}
        Bound::Entries(option) => {
            let entries = amount(&option.value);
            policy.extend(quote_spanned!(option.name.span()=> .capacity(#entries)));
        }
        Bound::Bytes { max, .. } => {
            let (name, max) = (&max.name, amount(&max.value));
            policy.extend(quote_spanned!(name.span()=> .max_bytes(#max)));
        }
    }
    if let Some(name) = &memo.name {
        let name = &name.value;
        policy.extend(quote!(.name(#name)));
        let has_instances = memo.item.sig.generics.type_params().next().is_some()
            || memo.item.sig.generics.const_params().next().is_some()
            || memo.companions != Companions::Type;
        if !has_instances {
            policy.extend(quote!(.one_instance()));
        }
    }
    if let Some(version) = &memo.version {
        let version = version.value;
        policy.extend(quote!(.version(#version)));
    }
    match memo.single_flight.as_ref().map(|option| option.value) {
        // What a shared store does unless told otherwise; in memory it is refused.
        None | Some(SingleFlight::Fleet) => {}
        Some(SingleFlight::Process) => policy.extend(quote!(.every_process_computes())),
        Some(SingleFlight::Off) => policy.extend(quote!(.every_call_computes())),
    }
    if let Some(handle) = &memo.handle {
        let (name, handle) = (Ident::new("handle", handle.name.span()), &handle.value);
        policy.extend(quote_spanned!(handle.span()=> .#name(&#handle)));
    }
    match &memo.backend.value {
        Backend::Memory => {}
        Backend::Redis => policy.extend(quote!(.redis())),
        Backend::Memcached => policy.extend(quote!(.memcached())),
        Backend::Store(store) => {
            let (start, end) = across(store);
            let p = private_at(start);
            let named = quote_spanned!(start=> #p::Named::new(&#store));
            policy.extend(quote_spanned!(end=> .store(#named.to_arc())));
        }
    }
    match memo.codec.as_ref().map(|codec| (codec.value, codec.span)) {
        Some((Codec::Json, span)) => if_on(&Ident::new("json", span), &quote!(#policy.json())),
        Some((Codec::Msgpack, _)) | None => policy,
    }
}

/// What the function returns, by its type.
fn kind(memo: &Memo) -> TokenStream {
    let of_errors = memo.cache_err.as_ref().map(|option| (&option.name, "caching_errors"));
    let of_errors =
        of_errors.or_else(|| memo.stale_if_error.as_ref().map(|option| (&option.name, "with_fallback")));
    let Some((option, function)) = of_errors else {
        let (start, end) = across(&memo.item.output);
        let shape = shape(memo, start, end);
        return quote_spanned!(end=> #shape.kind());
    };
    let span = option.span();
    let (p, shape, function) = (private_at(span), shape(memo, span, span), Ident::new(function, span));
    quote_spanned!(span=> #p::#function(#shape.kind()))
}

/// When what the function returns is absent, by its type.
fn absent(memo: &Memo) -> TokenStream {
    let Some(cache_none) = &memo.cache_none else {
        let (start, end) = across(&memo.item.output);
        let shape = shape(memo, start, end);
        return quote_spanned!(end=> #shape.absent());
    };
    let span = cache_none.name.span();
    let (p, shape) = (private_at(span), shape(memo, span, span));
    quote_spanned!(span=> #p::caching_none(#shape.absent()))
}

/// The type that the function returns, on its way to its kind.
fn shape(memo: &Memo, start: Span, end: Span) -> TokenStream {
    let (output, p) = (&memo.item.output, private_at(start));
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::ReturnType::<#output>::new #call)
}

/// Where what can be no part of a key is reported: once for each function.
#[derive(Clone, Copy)]
enum Check {
    Here,
    Elsewhere,
}

/// The tuple of the parts of the key, each looked up as it was passed.
fn key(memo: &Memo, check: Check) -> TokenStream {
    let p = private();
    let parts = memo.key.parts.iter().map(|part| match part {
        Part::Param(index) => {
            let param = &memo.item.params[*index];
            let (name, cfgs) = (&param.name, param.cfgs());
            let span = across(&param.arg.ty);
            let part = match param.ty() {
                // A tuple of references is owned part by part.
                Type::Tuple(tuple) if param.scan.reference.is_some() => {
                    let parts = (0..tuple.elems.len()).map(|index| {
                        let index = syn::Index::from(index);
                        key_part(memo, check, span, &quote!(#name.#index))
                    });
                    quote!((#(#parts,)*))
                }
                _ => key_part(memo, check, span, &name.to_token_stream()),
            };
            quote!(#(#cfgs)* #part)
        }
        Part::Expr(expr) => key_part(memo, check, across(expr), &operand(expr)),
    });
    let key = quote!((#(#parts,)*));
    let key = match &memo.tags {
        Some(tags) => {
            let tags = tags.value.iter().map(|tag| self::tag(memo, check, tag));
            quote!(#p::with_tags(#key, || #p::vec![#(#tags),*]))
        }
        None => key,
    };
    match &memo.bound {
        Bound::Bytes { weigh, .. } => {
            let (kind, name, weigh) =
                (kind(memo), Ident::new("with_weight", weigh.name.span()), &weigh.value);
            quote!(#p::#name(#key, #kind, #weigh))
        }
        Bound::Default | Bound::Entries(_) => key,
    }
}

/// The text of a tag, by what the arguments are now.
fn tag(memo: &Memo, check: Check, tag: &Tag) -> TokenStream {
    match tag {
        Tag::Template(Template { text, format, names }) => {
            let span = text.span();
            let (p, format) = (private_at(span), LitStr::new(format, span));
            let function = match check {
                Check::Here => "text",
                Check::Elsewhere => "text_again",
            };
            // Not by what is written, which may come from another macro than the parameter.
            let params =
                names.iter().filter_map(|name| memo.key_params().find(|param| param.name.unraw() == name));
            let texts = params.map(|param| {
                let mut name = param.name.clone();
                name.set_span(name.span().located_at(span));
                spelled((span, span), &name.to_token_stream(), function)
            });
            quote_spanned!(span=> #p::format!(#format, #(#texts),*))
        }
        Tag::Expr(expr) => {
            let function = match check {
                Check::Here => "tag",
                Check::Elsewhere => "tag_again",
            };
            spelled(across(expr), &operand(expr), function)
        }
    }
}

/// The text of a place, by one of the functions for it.
fn spelled((start, end): (Span, Span), place: &TokenStream, function: &str) -> TokenStream {
    let (p, function) = (private_at(start), Ident::new(function, end));
    let place = quote_spanned!(end=> (&#place));
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::TagText::new #place.#function #call)
}

/// An expression as it can stand behind `&`.
fn operand(expr: &Expr) -> TokenStream {
    match expr {
        Expr::Path(_)
        | Expr::Field(_)
        | Expr::Call(_)
        | Expr::MethodCall(_)
        | Expr::Lit(_)
        | Expr::Macro(_)
        | Expr::Tuple(_)
        | Expr::Array(_)
        | Expr::Index(_)
        | Expr::Unary(_)
        | Expr::Paren(_) => expr.to_token_stream(),
        _ => quote_spanned!(expr.span()=> (#expr)),
    }
}

/// One part of the key, with the place of what it is made of.
fn key_part(memo: &Memo, check: Check, (start, end): (Span, Span), place: &TokenStream) -> TokenStream {
    let p = private_at(start);
    let place = quote_spanned!(end=> (&#place));
    let part = match (is_memory(memo), check) {
        (true, Check::Here) => "key_part",
        (true, Check::Elsewhere) => "key_part_again",
        (false, Check::Here) => "shared_key_part",
        (false, Check::Elsewhere) => "shared_key_part_again",
    };
    let part = Ident::new(part, end);
    let call = quote_spanned!(end=> ());
    quote_spanned!(start=> #p::Arg::new #place.#part #call)
}

/// The parameters that the companions take to make the key.
fn key_params(memo: &Memo) -> Vec<TokenStream> {
    let param = |param: &Param| {
        let (cfgs, name, ty) = (param.cfgs(), &param.name, param.ty());
        quote!(#(#cfgs)* #name: #ty)
    };
    memo.key_params().map(param).collect()
}

/// The same for a method's handle, with `self` if it is in the key, and with one lifetime for what is borrowed.
fn handle_params(memo: &Memo, lifetime: &Lifetime) -> Vec<(Ident, Type)> {
    let receiver = memo.item.receiver.as_ref().filter(|_| memo.key.uses_self).map(|receiver| {
        let ty = match &receiver.arg.kind {
            ReceiverKind::Typed(_, ty) => (**ty).clone(),
            _ => parse_quote!(&Self),
        };
        (ours("__this"), ty)
    });
    let params = memo.key_params().map(|param| (param.name.clone(), param.ty().clone()));
    let mut params: Vec<_> = receiver.into_iter().chain(params).collect();
    for (_, ty) in &mut params {
        Elided(lifetime).visit_type_mut(ty);
    }
    params
}

/// Gives a name to every lifetime that has none.
struct Elided<'a>(&'a Lifetime);

impl VisitMut for Elided<'_> {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| self.0.clone());
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.0.clone();
        }
    }
}

/// Everything that the function takes, as it is passed on.
fn arguments(memo: &Memo) -> TokenStream {
    let receiver = memo.item.receiver.iter().map(|receiver| {
        let this = &receiver.arg.self_token;
        quote!(#this)
    });
    let params = memo.item.params.iter().map(|param| {
        let (cfgs, name) = (param.cfgs(), &param.name);
        quote!(#(#cfgs)* #name)
    });
    let arguments = receiver.chain(params);
    quote!(#(#arguments),*)
}

/// The signature that callers see: every parameter is a name.
fn outer_sig(memo: &Memo) -> syn::Signature {
    let mut sig = memo.item.sig.clone();
    let params = memo.item.params.iter().map(Param::outer);
    let receiver = sig.receiver().cloned().map(syn::FnArg::Receiver);
    sig.inputs = receiver.into_iter().chain(params).collect();
    sig
}

/// Takes the parameters apart as the user wrote it, where the body stands below our signature.
fn rebound(memo: &Memo) -> TokenStream {
    let rebound = memo.item.params.iter().filter_map(|param| {
        let (pattern, name, cfgs) = (param.pattern.as_ref()?, &param.name, param.cfgs());
        Some(quote!(#(#cfgs)* let #pattern = #name;))
    });
    quote!(#(#rebound)*)
}

/// Tells an `async` block what its `return` and `?` are to return.
fn typed(memo: &Memo) -> TokenStream {
    let output = &memo.item.output;
    let (start, _) = across(output);
    let (p, never) = (private_at(start), Ident::new("__never", Span::mixed_site().located_at(start)));
    quote_spanned! {start=>
        #[allow(unused_qualifications)]
        if let #p::Option::Some(#never) = #p::Option::None::<#output> {
            return #never;
        }
    }
}

/// The second statement of an answer. What a detached body has to be is reported where `detached` was written.
fn or(memo: &Memo, found: &Ident, body: &TokenStream) -> TokenStream {
    let Some(Opt { span, .. }) = memo.detached else {
        return quote!(#found.or_compute(move || #body).await);
    };
    let (p, found) = (private_at(span), Ident::new(&found.to_string(), found.span().located_at(span)));
    quote_spanned!(span=> #p::or_compute_detached(#found, move || #body).await)
}

/// The function as the user wrote it, with everything that it takes.
fn run(memo: &Memo, uncached: &TokenStream) -> TokenStream {
    let arguments = arguments(memo);
    if is_unsafe(memo) { quote!(unsafe { #uncached(#arguments) }) } else { quote!(#uncached(#arguments)) }
}

fn is_unsafe(memo: &Memo) -> bool {
    matches!(memo.item.sig.safety, syn::Safety::Unsafe(_))
}

/// The type and const parameters of the function, as they are passed on.
fn turbofish(memo: &Memo) -> TokenStream {
    let arguments = generic_arguments(&memo.item.sig.generics);
    if arguments.is_empty() { TokenStream::new() } else { quote!(::<#(#arguments),*>) }
}

/// The same for `__entry`, which has two more, which are inferred.
fn at_turbofish(memo: &Memo) -> TokenStream {
    let arguments = generic_arguments(&memo.item.sig.generics);
    if arguments.is_empty() { TokenStream::new() } else { quote!(::<#(#arguments,)* _, _>) }
}

fn generic_arguments(generics: &Generics) -> Vec<&Ident> {
    let mut arguments = Vec::new();
    for param in &generics.params {
        match param {
            GenericParam::Type(param) => arguments.push(&param.ident),
            GenericParam::Const(param) => arguments.push(&param.ident),
            GenericParam::Lifetime(_) => {}
        }
    }
    arguments
}

fn with_params(generics: &Generics, more: &[TokenStream]) -> Generics {
    let mut generics = generics.clone();
    for param in more {
        generics.params.push(parse_quote!(#param));
    }
    generics
}

fn cfgs(memo: &Memo) -> Vec<&Attribute> {
    memo.item.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
}

/// What is expected of the body is allowed where there is none.
fn allowed(attr: &Attribute) -> Attribute {
    let mut attr = attr.clone();
    if let Meta::List(list) = &mut attr.meta
        && list.path.is_ident("expect")
    {
        list.path = Ident::new("allow", list.path.span()).into();
    }
    attr
}

fn is_lint(attr: &Attribute) -> bool {
    ["allow", "warn", "deny", "forbid", "expect"].iter().any(|lint| attr.path().is_ident(lint))
}

/// The user did not write the companions and is not to hear of them.
fn companion_attrs() -> TokenStream {
    quote!(#[allow(dead_code, missing_docs, non_camel_case_types, clippy::all, clippy::pedantic)])
}

/// The body is the user's, but what is to be said of the signature is said of the function.
fn uncached_attrs() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            missing_docs,
            clippy::fn_params_excessive_bools,
            clippy::missing_errors_doc,
            clippy::missing_panics_doc,
            clippy::missing_safety_doc,
            clippy::too_many_arguments,
            clippy::trivially_copy_pass_by_ref,
            clippy::type_complexity
        )]
    }
}

/// A parameter `_x` that is in the key is used, which the user can not help.
fn underscore_lint(memo: &Memo) -> Option<TokenStream> {
    let any = memo.item.params.iter().any(|param| param.name.to_string().starts_with('_'));
    any.then(|| quote!(#[allow(clippy::used_underscore_binding)]))
}

fn amount(amount: &Amount<u64>) -> TokenStream {
    match amount {
        Amount::Known(amount) => proc_macro2::Literal::u64_unsuffixed(*amount).into_token_stream(),
        Amount::Expr(expr) => quote!(#expr),
    }
}

fn is_memory(memo: &Memo) -> bool {
    matches!(memo.backend.value, Backend::Memory)
}

/// Brings into the scope of a body what only our code may call.
fn scope(memo: &Memo) -> TokenStream {
    let krate = &memo.krate;
    quote!(use #krate::__private;)
}

/// What only our code may call, in a body that has it in its scope.
fn private() -> TokenStream {
    private_at(Span::call_site())
}

/// The same, as if it was written at a place of the user's: there the compiler reports what is wrong with it.
fn private_at(span: Span) -> TokenStream {
    Ident::new("__private", span).into_token_stream()
}

/// Where something starts and where it ends; an expression between these is reported as the whole of it.
fn across(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let Some(first) = tokens.next() else { return (Span::call_site(), Span::call_site()) };
    let (start, end) = match (&first, tokens.last()) {
        (TokenTree::Group(only), None) => (only.span_open(), only.span_close()),
        (first, last) => (first.span(), last.as_ref().unwrap_or(first).span()),
    };
    (start, end)
}

/// A name that can not clash with one of the user's.
fn ours(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
