//! The identity of the API server and of its clients: keys, certificates, the administrator's token and kubeconfig.
//!
//! They are made anew for each control plane, and are removed with it.

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::CertificateDer,
};

use crate::error::Error;

/// The files' contents (PEM) and secrets that the API server and its callers need.
pub(crate) struct Identity {
    /// The authority that signed the server's certificate.
    pub(crate) ca_pem: String,
    /// The server's certificate, for 127.0.0.1 and the names of the service in the cluster.
    pub(crate) server_certificate_pem: String,
    /// Its private key.
    pub(crate) server_key_pem: String,
    /// Signs service account tokens.
    pub(crate) service_account_key_pem: String,
    /// Verifies them.
    pub(crate) service_account_public_key_pem: String,
    /// The administrator's bearer token: 256 random bits.
    pub(crate) admin_token: String,
    ca_der: CertificateDer<'static>,
}

impl Identity {
    /// Makes a new identity: three ECDSA P-256 keys and two certificates.
    pub(crate) fn generate() -> Result<Self, Error> {
        let (ca_pem, ca_der, ca) = authority()?;

        let server_key = KeyPair::generate()?;
        let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut server = CertificateParams::new(names.map(str::to_owned))?;
        server.distinguished_name = common_name("kube-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = server.signed_by(&server_key, &ca)?;

        let service_account_key = KeyPair::generate()?;
        Ok(Self {
            ca_pem,
            server_certificate_pem: server.pem(),
            server_key_pem: server_key.serialize_pem(),
            service_account_key_pem: service_account_key.serialize_pem(),
            service_account_public_key_pem: service_account_key.public_key_pem(),
            admin_token: random_token()?,
            ca_der,
        })
    }

    /// The API server's file of static tokens: one administrator in `system:masters`.
    pub(crate) fn token_file(&self) -> String {
        format!("{},admin,admin,\"system:masters\"\n", self.admin_token)
    }

    /// A kubeconfig for the administrator, which refers to no other file.
    pub(crate) fn kubeconfig(&self, server: &str) -> String {
        let ca = STANDARD.encode(&self.ca_pem);
        let token = &self.admin_token;
        format!(
            "apiVersion: v1
kind: Config
clusters:
- name: control-plane
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: admin
  user:
    token: {token}
contexts:
- name: control-plane
  context:
    cluster: control-plane
    user: admin
    namespace: default
current-context: control-plane
"
        )
    }

    /// TLS for a client that trusts only this control plane. It does not use the default provider of the process.
    pub(crate) fn client_tls(&self) -> Result<ClientConfig, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca_der.clone())?;
        Ok(ClientConfig::builder_with_provider(provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth())
    }
}

type Authority = (String, CertificateDer<'static>, Issuer<'static, KeyPair>);

fn authority() -> Result<Authority, Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("control-plane");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), certificate.der().clone(), Issuer::new(params, key)))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

fn random_token() -> Result<String, Error> {
    let mut bytes = [0; 32];
    provider().secure_random.fill(&mut bytes).map_err(|_| rcgen::Error::RingUnspecified)?;
    Ok(hex::encode(bytes))
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}
