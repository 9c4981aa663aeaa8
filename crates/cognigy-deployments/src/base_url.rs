//! The addresses of the API and of its token endpoint.

use api::identifier::ApiOrigin;
use platform::{EndpointError, MAX_BASE_BYTES, parse_url, server_of};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The path that all calls of the API share. A configured base may already end with it.
const API_PATH: &str = "/api/v2";

/// The API's base URL, normalized: `/api/v2` and a trailing slash at its end are removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The public API, used if no other is configured (contract, introduction).
    #[must_use]
    pub fn public() -> Self {
        Self("https://api.cognigy.ai".to_owned())
    }

    /// The base URL as text, for the status.
    #[must_use]
    pub fn origin(&self) -> ApiOrigin {
        ApiOrigin::new(&self.0)
    }

    /// Scheme, host and port, for errors.
    pub(crate) fn server(&self) -> String {
        Url::parse(&self.0).map_or_else(|_| self.0.clone(), |url| server_of(&url))
    }

    /// The URL of one call; `path` is the part after `/api/v2`, and begins with a slash.
    pub(crate) fn call_url(&self, path: &str) -> String {
        format!("{}{API_PATH}{path}", self.0)
    }
}

impl FromStr for BaseUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let mut url = parse_url(text)?;
        if url.query().is_some() {
            return Err(EndpointError::Query);
        }
        let path = url.path().trim_end_matches('/');
        let prefix = path.strip_suffix(API_PATH).unwrap_or(path).trim_end_matches('/').to_owned();
        url.set_path(&prefix);
        let base = url.as_str().trim_end_matches('/');
        if base.len() > MAX_BASE_BYTES {
            return Err(EndpointError::BaseTooLong);
        }
        Ok(Self(base.to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The OAuth2 token endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenUrl(String);

impl TokenUrl {
    /// The public token endpoint, used if no other is configured (contract, section 0).
    #[must_use]
    pub fn public() -> Self {
        Self("https://auth.cognigy.ai/oauth/token".to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = parse_url(text)?;
        if url.query().is_some() {
            return Err(EndpointError::Query);
        }
        Ok(Self(url.into()))
    }
}

impl fmt::Display for TokenUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_base_url_is_normalized() {
        for spelling in [
            "https://api.cognigy.ai",
            "https://api.cognigy.ai/",
            "https://api.cognigy.ai/api/v2",
            "https://api.cognigy.ai/api/v2/",
            "https://API.cognigy.ai:443/api/v2//",
            "https://api.cognigy.ai./",
            "https://api.cognigy.ai../",
            "https://api.cognigy.ai%2E/",
            "https://api。cognigy。ai/",
            "https:\\\\api.cognigy.ai\\api\\v2",
            "https://api.cognigy.ai/./x/../api/v2",
            " https://api.cognigy.ai ",
        ] {
            assert_eq!(spelling.parse::<BaseUrl>().unwrap(), BaseUrl::public(), "{spelling}");
        }
    }

    #[test]
    fn a_path_prefix_and_a_port_are_kept() {
        let base: BaseUrl = "http://gateway.example:8080/cognigy/api/v2/".parse().unwrap();
        assert_eq!(base.origin().as_str(), "http://gateway.example:8080/cognigy");
        assert_eq!(base.call_url("/jobs/j"), "http://gateway.example:8080/cognigy/api/v2/jobs/j");
    }

    #[test]
    fn a_path_that_only_resembles_the_api_path_is_kept() {
        let base: BaseUrl = "https://gateway.example/my-api/v2x".parse().unwrap();
        assert_eq!(base.to_string(), "https://gateway.example/my-api/v2x");
    }

    #[test]
    fn a_base_url_with_other_parts_is_refused() {
        for (text, error) in [
            ("https://api.example/?a=b", EndpointError::Query),
            ("https://api.example/#top", EndpointError::Fragment),
            ("https://me@api.example/", EndpointError::UserInfo),
            ("https://me:secret@api.example/", EndpointError::UserInfo),
            ("ftp://api.example/", EndpointError::Scheme),
            ("file:///etc/passwd", EndpointError::Scheme),
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(error), "{text}");
        }
        for text in ["api.example", "127.0.0.1:8090", "localhost:8090", "api.example:443/gateway", "//api.example", ""]
        {
            assert_eq!(text.parse::<BaseUrl>(), Err(EndpointError::NoScheme), "{text}");
        }
        assert!(matches!("https://".parse::<BaseUrl>(), Err(EndpointError::NotAUrl(_))));
        for long in ["x".repeat(3000), "ä".repeat(400), "\u{10ffff}".repeat(200)] {
            assert_eq!(format!("https://a/{long}").parse::<BaseUrl>(), Err(EndpointError::TooLong), "{long}");
        }
        let of_length = |length: usize| format!("https://a/{}", "x".repeat(length - "https://a/".len()));
        assert!(of_length(MAX_BASE_BYTES).parse::<BaseUrl>().is_ok());
        assert_eq!(of_length(MAX_BASE_BYTES + 1).parse::<BaseUrl>(), Err(EndpointError::BaseTooLong));
    }
}
