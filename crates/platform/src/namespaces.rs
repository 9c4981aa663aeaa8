//! The namespaces that may use a resource that belongs to the operator.

/// The namespaces whose resources may use something that belongs to the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedNamespaces(Vec<String>);

impl OfferedNamespaces {
    /// These namespaces; `*` stands for all.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = String>) -> Self {
        Self(namespaces.into_iter().collect())
    }

    /// Whether this namespace is among them.
    #[must_use]
    pub fn includes(&self, namespace: &str) -> bool {
        self.0.iter().any(|offered| offered == "*" || offered == namespace)
    }
}
