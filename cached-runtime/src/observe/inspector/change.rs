//! The changes that the page can ask for.

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};

use crate::policy::caches;
use crate::shared::invalidate_tag;

/// The maximum number of bytes of a form.
const MAX_FORM: usize = 16 * 1024;

/// What the form of the page asks for.
enum Change {
    /// Clear the function with this name.
    Clear(String),
    InvalidateTag(String),
}

/// An error of the body of a request.
pub(super) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Why a change was not made.
type Refusal = (StatusCode, String);

/// Makes the change that a request asks for, and returns what was done.
pub(super) async fn make<B>(request: Request<B>) -> Result<String, Refusal>
where
    B: Body<Error: Into<AnyError>>,
{
    if !is_same_origin(request.headers(), request.uri()) {
        let reason = "The request does not come from this page: changes from other sites are refused.";
        return Err((StatusCode::FORBIDDEN, reason.to_owned()));
    }
    let body = Limited::new(request.into_body(), MAX_FORM).collect().await;
    let form = body.map_err(|_| bad_request("The form cannot be read, or is too long."))?.to_bytes();
    Change::parse(&form).ok_or_else(|| bad_request("The form asks for no change."))?.make().await
}

impl Change {
    fn parse(form: &[u8]) -> Option<Self> {
        form_urlencoded::parse(form).find_map(|(name, value)| match &*name {
            "clear" => Some(Self::Clear(value.into_owned())),
            "tag" => Some(Self::InvalidateTag(value.into_owned())),
            _ => None,
        })
    }

    async fn make(self) -> Result<String, Refusal> {
        let (made, done) = match self {
            Self::Clear(name) => {
                let named: Vec<_> = caches().into_iter().filter(|cache| cache.name() == name).collect();
                if named.is_empty() {
                    return Err((StatusCode::NOT_FOUND, format!("There is no function {name}.")));
                }
                let mut cleared = Ok(());
                for cache in named {
                    cleared = cache.clear().await.and(cleared);
                }
                (cleared, format!("Cleared {name}."))
            }
            Self::InvalidateTag(tag) => {
                (invalidate_tag(&tag).await, format!("Invalidated the values with the tag {tag}."))
            }
        };
        let refusal = |error| {
            let reason = format!("The store has not confirmed the change, which is tried again: {error}");
            (StatusCode::BAD_GATEWAY, reason)
        };
        made.map(|()| done).map_err(refusal)
    }
}

/// Returns `true` unless a browser sends the request for another site.
///
/// Browsers say so in `Sec-Fetch-Site` (W3C Fetch Metadata), older ones at least send the `Origin` of a `POST`. A client
/// that sends neither is no browser, and acts for nobody else.
fn is_same_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority);
    // HTTP/2 has the host in the URI.
    let host =
        headers.get(HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(Authority::as_str));
    origin.zip(host).is_some_and(|(origin, host)| origin.as_str().eq_ignore_ascii_case(host))
}

fn bad_request(reason: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), value.parse().expect("the value of a header"))
        });
        is_same_origin(&headers.collect(), &Uri::from_static("/"))
    }

    #[test]
    fn requests_of_other_sites_are_told_from_those_of_the_page() {
        for site in ["same-origin", "none"] {
            assert!(is_allowed(&[("sec-fetch-site", site)]), "{site}");
        }
        for site in ["cross-site", "same-site", "anything"] {
            assert!(
                !is_allowed(&[("sec-fetch-site", site), ("origin", "http://a:1"), ("host", "a:1")]),
                "{site}"
            );
        }
        assert!(is_allowed(&[("origin", "http://A.example:81"), ("host", "a.example:81")]));
        for origin in ["http://b.example:81", "http://a.example", "null", "http://a.example:81.evil", ""] {
            assert!(!is_allowed(&[("origin", origin), ("host", "a.example:81")]), "{origin}");
        }
        assert!(!is_allowed(&[("origin", "http://a.example")]), "without a host");
        assert!(is_allowed(&[("host", "a.example")]), "not from a browser");
    }
}
