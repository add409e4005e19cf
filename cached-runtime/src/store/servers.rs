//! The stores of this process, as configured in code, by environment variables or by default.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::placement::Placement;
use super::role::{Role, Variable};
use super::{Store, StoreConfig};
use crate::{Error, ErrorKind, Result};

static SERVERS: OnceLock<Vec<Server>> = OnceLock::new();

/// The roles that functions have used but nobody configured; as many as there are names in the program.
static UNKNOWN: Mutex<Vec<Role>> = Mutex::new(Vec::new());

/// One store of the process.
#[derive(Debug)]
struct Server {
    role: Role,
    placement: Placement,
    /// Whether it is configured, in code or in the environment.
    is_configured: bool,
    /// Whether a function has used it.
    is_used: AtomicBool,
}

/// Installs the stores that are configured in code, unless there are mistakes or a store was used before.
///
/// `mistakes` are those in the other settings.
pub(crate) fn install(stores: &[(Role, StoreConfig)], mistakes: Vec<Error>) -> Result<()> {
    let servers = servers_of(stores);
    let of_servers = servers
        .iter()
        .filter_map(|server| Some((server.role.name().to_owned(), server.placement.error()?.clone())));
    let mistakes: Vec<_> =
        mistakes.into_iter().map(|error| ("limits".to_owned(), error)).chain(of_servers).collect();
    if let [(_, first), others @ ..] = &*mistakes {
        return Err(if others.is_empty() { first.clone() } else { several(&mistakes) });
    }
    SERVERS.set(servers).map_err(|_| {
        Error::new(
            ErrorKind::Config,
            "cannot install the configuration twice or after the first use of a store",
        )
    })
}

/// Returns where the values of the functions with this role are.
pub(crate) fn placement_of(role: &Role) -> Placement {
    match (servers().iter().find(|server| server.role == *role), role) {
        (Some(server), _) => {
            server.is_used.store(true, Relaxed);
            server.placement.clone()
        }
        (None, role) => {
            let mut unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            if !unknown.contains(role) {
                unknown.push(role.clone());
            }
            Placement::Store(Err(unknown_role(role)))
        }
    }
}

/// Returns the shared stores that are configured, in code or in the environment.
pub(crate) fn configured() -> impl Iterator<Item = &'static Result<Arc<dyn Store>>> {
    servers().iter().filter(|server| server.is_configured).filter_map(|server| server.placement.store())
}

/// Returns the shared stores that are configured, or that functions use by default, with what the attributes call them.
pub(crate) fn servers_in_use() -> impl Iterator<Item = (String, &'static Result<Arc<dyn Store>>)> {
    let is_in_use = |server: &&Server| server.is_configured || server.is_used.load(Relaxed);
    let named = |server: &'static Server| Some((server.role.name().to_owned(), server.placement.store()?));
    servers().iter().filter(is_in_use).filter_map(named)
}

/// Returns the names that functions have used but nobody configured, each with an error that says so.
pub(crate) fn unknown_names() -> Vec<(String, Error)> {
    let unknown = UNKNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    unknown.iter().map(|role| (role.name().to_owned(), unknown_role(role))).collect()
}

/// Returns the stores that calls use; without an installed configuration, those of the environment. An error is logged
/// here, once for all functions.
fn servers() -> &'static [Server] {
    SERVERS.get_or_init(|| {
        let servers = servers_of(&[]);
        for error in servers.iter().filter_map(|server| server.placement.error()) {
            tracing::warn!(
                ?error,
                "a shared store cannot be used; calls compute without it, which is counted in `store_errors`. Correct what \
                 the error names and restart the program"
            );
        }
        servers
    })
}

/// Returns the stores that are configured in code, by variables, and by default.
fn servers_of(stores: &[(Role, StoreConfig)]) -> Vec<Server> {
    let is_in_code = |role: &Role| stores.iter().any(|(configured, _)| configured == role);
    let in_code = stores.iter().map(|(role, store)| Server {
        role: role.clone(),
        placement: store.placement(),
        is_configured: true,
        is_used: AtomicBool::new(false),
    });
    let others = Role::WITH_DEFAULT.iter().filter(|role| !is_in_code(role)).map(from_environment);
    in_code.chain(others).collect()
}

/// Returns the store at the address in the environment variable of a role; that at the default address if the variable is
/// not set or blank.
fn from_environment(role: &Role) -> Server {
    let variable = role.variable();
    let value = variable.as_ref().and_then(|variable| env::var_os(variable.name)).map(OsString::into_string);
    let (placement, is_configured) = match &value {
        None => (role.store_at(None).placement(), false),
        Some(Ok(value)) if value.trim().is_empty() => (role.store_at(None).placement(), false),
        Some(Ok(value)) => (named_by(variable, role.store_at(Some(value.trim())).placement()), true),
        Some(Err(_)) => {
            let error = Error::new(ErrorKind::Config, "the value is not Unicode");
            (named_by(variable, Placement::Store(Err(error))), true)
        }
    };
    Server { role: role.clone(), placement, is_configured, is_used: AtomicBool::new(false) }
}

/// Adds the name of the variable to the error of a placement.
fn named_by(variable: Option<Variable>, placement: Placement) -> Placement {
    match (variable, placement) {
        (Some(variable), Placement::Store(Err(cause))) => {
            Placement::Store(Err(Error::new(ErrorKind::Config, variable.invalid).with_source(cause)))
        }
        (_, placement) => placement,
    }
}

fn unknown_role(role: &Role) -> Error {
    Error::new(ErrorKind::Config, "a function uses a store that is not configured").with_source(format!(
        "`backend = {role}`: no store has this name; add it by `configure().store(...)`"
    ))
}

/// Returns one error with all mistakes.
fn several(mistakes: &[(String, Error)]) -> Error {
    Error::new(ErrorKind::Config, "the configuration has several mistakes").with_source(list(mistakes))
}

/// Returns the text of errors with their causes, each after what it is about.
pub(crate) fn list(errors: &[(String, Error)]) -> String {
    let mut text = String::new();
    for (about, error) in errors {
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing into a `String` does not fail.
        let _ = write!(text, "{separator}{about}: {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
    }
    text
}
