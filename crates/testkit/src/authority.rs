//! Private certificate authorities, and the certificates that they sign.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use simulator::Tls;

/// A certificate for a name or an address, and the certificate of the private authority that signed it.
pub fn certified(name: &str) -> (Tls, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &authority).unwrap();
    let tls = Tls { certificate_pem: certificate.pem().into_bytes(), key_pem: key.serialize_pem().into_bytes() };
    (tls, authority.pem())
}
