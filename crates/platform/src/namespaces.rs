//! The namespaces that may use the operator's own credentials or webhook.

/// The namespaces whose resources may use the operator's own credentials or webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedNamespaces(Vec<String>);

impl OfferedNamespaces {
    /// Makes a list from these names. The name `*` means all namespaces.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = String>) -> Self {
        Self(namespaces.into_iter().collect())
    }

    /// Whether this namespace is in the list.
    #[must_use]
    pub fn includes(&self, namespace: &str) -> bool {
        self.0.iter().any(|offered| offered == "*" || offered == namespace)
    }
}
