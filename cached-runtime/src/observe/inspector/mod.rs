//! The page that shows a running program: its cached functions and its stores.

mod change;
mod page;

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use self::change::AnyError;
use self::page::Page;
use crate::BoxFuture;

/// Returns a service with one page, which lists all functions of the program with their options, hit ratios and durations,
/// and the stores with their health, as this process sees them.
///
/// It is a [`tower_service::Service`] over the types of the crate `http`, and answers on every path below the one where
/// it is mounted. The page loads nothing from elsewhere, and refreshes itself every few seconds. It shows no arguments
/// and no values, but names and options of functions, and what servers said when something failed: mount it where only
/// operators come.
///
/// It changes nothing, unless [`allow_changes`](Inspector::allow_changes) says so.
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use cached_runtime::inspector;
///
/// let internal: Router = Router::new().nest_service("/caches", inspector());
/// # let _ = internal;
/// ```
#[must_use]
pub const fn inspector() -> Inspector {
    Inspector { allows_changes: false }
}

/// The service that [`inspector`] returns.
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use cached_runtime::{Inspector, inspector};
///
/// const INSPECTOR: Inspector = inspector().allow_changes();
///
/// let internal: Router = Router::new().nest_service("/caches", INSPECTOR);
/// # let _ = internal;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Inspector {
    allows_changes: bool,
}

impl Inspector {
    /// Puts buttons on the page that clear a function and invalidate a tag; the default is a page that only shows.
    ///
    /// A change is a `POST` from the page itself: browsers say of each request from where it comes, and one from another site
    /// is refused. Who may open the page at all is for the program to decide.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::Router;
    /// use cached_runtime::inspector;
    ///
    /// let internal: Router = Router::new().nest_service("/caches", inspector().allow_changes());
    /// # let _ = internal;
    /// ```
    #[must_use]
    pub const fn allow_changes(self) -> Self {
        Self { allows_changes: true }
    }

    async fn respond<B>(self, request: Request<B>) -> Response<String>
    where
        B: Body<Error: Into<AnyError>>,
    {
        match *request.method() {
            Method::GET | Method::HEAD => self.page(StatusCode::OK, None),
            Method::POST if self.allows_changes => match change::make(request).await {
                Ok(done) => self.page(StatusCode::OK, Some(&done)),
                Err((status, reason)) => self.page(status, Some(&reason)),
            },
            Method::POST => {
                self.page(StatusCode::FORBIDDEN, Some("Changes are off: use inspector().allow_changes()."))
            }
            _ => {
                let mut response = Response::new(String::new());
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                response
            }
        }
    }

    fn page(self, status: StatusCode, notice: Option<&str>) -> Response<String> {
        let page = Page { notice, allows_changes: self.allows_changes };
        let mut response = Response::new(page.to_string());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (http::header::CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
            // With `no-referrer` browsers would not say where the page's own requests come from.
            (REFERRER_POLICY, "same-origin"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl<B> Service<Request<B>> for Inspector
where
    B: Body<Data: Send, Error: Into<AnyError>> + Send + 'static,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inspector = *self;
        Box::pin(async move { Ok(inspector.respond(request).await) })
    }
}
