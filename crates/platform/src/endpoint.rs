//! URLs, and the identifiers that may be put into a URL's path or a header.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use url::Url;

/// The maximum number of bytes of a URL; a longer URL is a mistake or an attack.
const MAX_URL_BYTES: usize = 2048;

/// The maximum number of bytes of an API's base URL. Each message in the outbox of a status contains the base URL, and a
/// status must stay small. A host name has at most 253 bytes.
pub const MAX_BASE_BYTES: usize = 320;

/// The maximum number of bytes of an identifier in a path (contract, section 3).
const MAX_SEGMENT_BYTES: usize = 256;

/// The maximum number of bytes of an idempotency key.
const MAX_KEY_BYTES: usize = 255;

/// Why a URL or an identifier cannot be used. The message completes a sentence that begins with the value's name, and
/// contains no part of the value. Only the author of the value can correct it; trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text is not a URL.
    #[error("is not a URL ({0}); write for example https://api.example.com")]
    NotAUrl(url::ParseError),
    /// The URL has no scheme.
    #[error("needs a scheme; write https:// before the host")]
    NoScheme,
    /// The scheme is neither `https` nor `http`.
    #[error("must begin with https:// (or with http://, if the operator's --egress-allow permits it)")]
    Scheme,
    /// The URL contains a user name or a password.
    #[error("must not contain a user name or password; remove everything before the @")]
    UserInfo,
    /// The URL contains a query, which is not allowed here.
    #[error("must not have a query; remove the ? and everything after it")]
    Query,
    /// The URL contains a fragment.
    #[error("must not have a fragment; remove the # and everything after it")]
    Fragment,
    /// The URL is longer than the maximum.
    #[error("is longer than {MAX_URL_BYTES} bytes; shorten it")]
    TooLong,
    /// The API's base URL is too long for the status.
    #[error("is longer than {MAX_BASE_BYTES} bytes; shorten it")]
    BaseTooLong,
    /// The identifier cannot be used as one path segment without encoding.
    #[error("must be 1 to {MAX_SEGMENT_BYTES} of the characters A-Z a-z 0-9 . _ ~ -, and neither '.' nor '..'")]
    Segment,
    /// The idempotency key cannot be used as a header's value without encoding.
    #[error("must be 1 to {MAX_KEY_BYTES} visible ASCII characters")]
    Key,
}

/// Parses an absolute http(s) URL without user info and fragment, and normalizes its host (no trailing dot).
pub fn parse_url(text: &str) -> Result<Url, EndpointError> {
    if text.len() > MAX_URL_BYTES {
        return Err(EndpointError::TooLong);
    }
    let text = text.trim();
    // A host and a port without a scheme, such as localhost:8090, would be read as a scheme and a path.
    let has_scheme = text.contains(":/") || text.contains(":\\");
    let mut url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => EndpointError::NoScheme,
        error => EndpointError::NotAUrl(error),
    })?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(if has_scheme { EndpointError::Scheme } else { EndpointError::NoScheme });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(EndpointError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(EndpointError::Fragment);
    }
    // Percent-encoding may have made the text three times as long.
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(EndpointError::TooLong);
    }
    let host = url.host_str().filter(|host| host.ends_with('.')).map(|host| host.trim_end_matches('.').to_owned());
    if let Some(host) = host {
        url.set_host(Some(&host)).map_err(EndpointError::NotAUrl)?;
    }
    Ok(url)
}

/// Scheme, host and port of a URL, for errors.
pub fn server_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Allows only unreserved characters. They need no encoding, and cannot change the structure of the path.
fn is_safe_segment(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_SEGMENT_BYTES
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
        && !matches!(text, "." | "..")
}

/// Defines a newtype over a text that passed a check.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident, $check:expr, $error:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = EndpointError;

            fn from_str(text: &str) -> Result<Self, EndpointError> {
                if $check(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// An environment's identifier: one safe path segment.
    EnvironmentId,
    is_safe_segment,
    EndpointError::Segment
);

checked_text!(
    /// A job's identifier as the API answered it: `[A-Za-z0-9._~-]{1,256}`, neither `.` nor `..` (contract, section 3).
    JobId,
    is_safe_segment,
    EndpointError::Segment
);

checked_text!(
    /// The value of an `Idempotency-Key` header: 1 to 255 visible ASCII characters.
    IdempotencyKey,
    |text: &str| (1..=MAX_KEY_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()),
    EndpointError::Key
);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_identifiers_that_are_one_path_segment_are_accepted() {
        for good in ["job_8f3a2c", "a", "...", "A-Z.~_0", &"x".repeat(256)] {
            assert_eq!(good.parse::<JobId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "a%2fb", "a b", "ä", "a?b", "a\n", &"x".repeat(257)] {
            assert_eq!(bad.parse::<JobId>(), Err(EndpointError::Segment), "{bad:?}");
            assert_eq!(bad.parse::<EnvironmentId>(), Err(EndpointError::Segment), "{bad:?}");
        }
    }

    #[test]
    fn a_key_that_is_not_a_valid_header_value_is_refused() {
        assert!("abc-123".parse::<IdempotencyKey>().is_ok());
        for bad in ["", "a b", "a\r\nX: y", "ä", &"x".repeat(256)] {
            assert_eq!(bad.parse::<IdempotencyKey>(), Err(EndpointError::Key), "{bad:?}");
        }
    }
}
