//! The operator's own credentials, from its environment.

use super::environment::variable;
use cognigy_deployments::OwnClient;

/// The environment variables with the credentials.
const CLIENT_ID: &str = "COGNIGY_CLIENT_ID";
const CLIENT_SECRET: &str = "COGNIGY_CLIENT_SECRET";

/// The operator's own credentials cannot be used. They are read once at start, so waiting for them would not help.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnClientError {
    /// Namespaces may use the operator's own credentials, but the operator has none.
    #[error(
        "--default-credentials-namespace offers the operator's own credentials to namespaces, but the operator has none; \
         set {CLIENT_ID} and {CLIENT_SECRET}, or leave the flag and COGNIGY_DEFAULT_CREDENTIALS_NAMESPACES out"
    )]
    Missing,
    /// Only one of the two variables is set.
    #[error("{set} is set, but {missing} is not; set both, or neither")]
    Half {
        /// The variable that is set.
        set: &'static str,
        /// The variable that is missing or empty.
        missing: &'static str,
    },
}

/// The operator's own client, for the resources in these namespaces.
///
/// # Errors
/// [`OwnClientError`] if only one variable is set, or if namespaces are given but no variable is set.
pub(super) fn from_environment(namespaces: &[String]) -> Result<Option<OwnClient>, OwnClientError> {
    own_client(variable(CLIENT_ID), variable(CLIENT_SECRET), namespaces)
}

fn own_client(
    id: Option<String>,
    secret: Option<String>,
    namespaces: &[String],
) -> Result<Option<OwnClient>, OwnClientError> {
    match (id, secret) {
        (Some(id), Some(secret)) => Ok(Some(OwnClient { id, secret: secret.into() })),
        (None, None) if namespaces.is_empty() => Ok(None),
        (None, None) => Err(OwnClientError::Missing),
        (Some(_), None) => Err(OwnClientError::Half { set: CLIENT_ID, missing: CLIENT_SECRET }),
        (None, Some(_)) => Err(OwnClientError::Half { set: CLIENT_SECRET, missing: CLIENT_ID }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_credentials_are_refused_and_also_missing_ones_if_namespaces_may_use_them() {
        let bots = ["bots".to_owned()];
        let read = |id: &str, secret: &str, namespaces: &[String]| {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            own_client(given(id), given(secret), namespaces).map(|client| client.map(|client| client.id))
        };
        for namespaces in [&[][..], &bots] {
            assert_eq!(read("demo", "s3cr3t", namespaces), Ok(Some("demo".to_owned())));
            let half = read("demo", "", namespaces).map_err(|error| error.to_string());
            assert_eq!(
                half,
                Err("COGNIGY_CLIENT_ID is set, but COGNIGY_CLIENT_SECRET is not; set both, or neither".to_owned())
            );
            let half = read("", "s3cr3t", namespaces).map_err(|error| error.to_string());
            assert_eq!(
                half,
                Err("COGNIGY_CLIENT_SECRET is set, but COGNIGY_CLIENT_ID is not; set both, or neither".to_owned())
            );
        }
        assert_eq!(read("", "", &[]), Ok(None));
        assert_eq!(read("", "", &bots), Err(OwnClientError::Missing));
    }
}
