//! Tests which server is accepted as Cognigy.AI: real TLS, with authorities and certificates made for the test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

use super::*;
use simulator::{RequestFilter, Scenario, Server, Tls};

const NAME: &str = "cognigy.example.com";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    CertifiedIssuer::self_signed(authority_parameters(name), KeyPair::generate().unwrap()).unwrap()
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

fn server() -> CertificateParams {
    CertificateParams::new(vec![NAME.to_owned()]).unwrap()
}

/// A certificate signed by this authority, followed by its chain.
fn signed(parameters: CertificateParams, by: &Authority, chain: &str) -> Tls {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, by).unwrap();
    Tls {
        certificate_pem: format!("{}{chain}", certificate.pem()).into_bytes(),
        key_pem: key.serialize_pem().into_bytes(),
    }
}

fn self_signed(parameters: CertificateParams) -> Tls {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    Tls { certificate_pem: certificate.pem().into_bytes(), key_pem: key.serialize_pem().into_bytes() }
}

fn pem(tls: &Tls) -> String {
    String::from_utf8(tls.certificate_pem.clone()).unwrap()
}

/// The result of a request to a server with this certificate, if the client trusts these authorities in addition to the
/// system's. A server that is not trusted must not receive a request.
async fn ask(tls: Tls, ca_pem: Option<String>) -> Result<u16, String> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let platform = Server::bind("127.0.0.1:0".parse().unwrap(), Scenario::default(), Some(tls)).await.unwrap();
    let url = Url::parse(&platform.url()).unwrap();
    let policy = EgressPolicy::new(vec![NAME.parse().unwrap()]);
    let options = HttpOptions { policy, ca_pem, ..HttpOptions::default() };
    let here = name_server(|_| vec!["127.0.0.1:0".parse().unwrap()]);
    let transport = HttpTransport::with_lookup(&options, &here).unwrap();
    let url = format!("https://{NAME}:{}/api/v2/jobs/job", url.port().unwrap());
    let answer = transport.send(request(url)).await;
    let asked = platform.handle().with(|world| world.requests(&RequestFilter::default()).count());
    match answer {
        Ok(answer) => {
            assert_eq!(asked, 1);
            Ok(answer.status().as_u16())
        }
        Err(TransportError::NotConnected(message)) => {
            assert_eq!(asked, 0, "the client sent data to a server that it does not trust");
            Err(message)
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_if_the_secret_contains_its_certificate() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let bundle = format!("{}{}", theirs.pem(), ours.pem());
    for ca in [ours.pem(), bundle, format!("# The authority of the platform team\n{}\n", ours.pem())] {
        assert_eq!(ask(signed(server(), &ours, ""), Some(ca)).await, Ok(401));
    }
}

#[tokio::test]
async fn a_chain_to_the_private_authority_is_trusted_if_the_server_sends_it() {
    let root = authority("root");
    let between =
        CertifiedIssuer::signed_by(authority_parameters("between"), KeyPair::generate().unwrap(), &root).unwrap();
    assert_eq!(ask(signed(server(), &between, &between.pem()), Some(root.pem())).await, Ok(401));
    let refused = ask(signed(server(), &between, ""), Some(root.pem())).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_only_if_it_is_in_the_secret() {
    let tls = self_signed(server());
    let refused = ask(tls.clone(), None).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    let other = pem(&self_signed(server()));
    assert!(ask(tls.clone(), Some(other)).await.is_err(), "another certificate with the same name");
    let own = pem(&tls);
    assert_eq!(ask(tls, Some(own)).await, Ok(401));
}

#[tokio::test]
async fn a_server_without_a_valid_certificate_receives_no_request() {
    let (ours, theirs) = (authority("ours"), authority("ours"));
    let lasting = |from, until| {
        let mut parameters = server();
        (parameters.not_before, parameters.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        parameters
    };
    let (expired, not_yet) = (lasting(2020, 2021), lasting(2999, 3000));
    let named = |name: &str| CertificateParams::new(vec![name.to_owned()]).unwrap();
    let mut common_name_only = CertificateParams::new(Vec::new()).unwrap();
    common_name_only.distinguished_name.push(DnType::CommonName, NAME);
    let mut for_clients = server();
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    // A server's certificate must not sign others: otherwise every customer of an authority would be an authority.
    let leaf = CertifiedIssuer::signed_by(server(), KeyPair::generate().unwrap(), &ours).unwrap();
    let cases = [
        ("nobody trusts its authority", signed(server(), &ours, ""), None, "UnknownIssuer"),
        ("another authority of the same name", signed(server(), &theirs, ""), Some(&ours), "BadSignature"),
        ("it was good until 2021", signed(expired, &ours, ""), Some(&ours), "expired"),
        ("it will be good in 2999", signed(not_yet, &ours, ""), Some(&ours), "not valid yet"),
        ("it is for another name", signed(named("auth.example.com"), &ours, ""), Some(&ours), "not valid for name"),
        ("it is for the name above", signed(named("example.com"), &ours, ""), Some(&ours), "not valid for name"),
        ("it is for names two below", signed(named("*.com"), &ours, ""), Some(&ours), "not valid for name"),
        ("it is for an address", signed(named("127.0.0.1"), &ours, ""), Some(&ours), "not valid for name"),
        ("it has the name in the wrong place", signed(common_name_only, &ours, ""), Some(&ours), "not valid for name"),
        ("it is for clients", signed(for_clients, &ours, ""), Some(&ours), "Eku"),
        (
            "a server's certificate signed it",
            signed(server(), &leaf, &leaf.pem()),
            Some(&ours),
            "CaUsed|NotCa|EndEntity",
        ),
    ];
    for (why, tls, ca, words) in cases {
        let refused = ask(tls, ca.map(|ca| ca.pem())).await.expect_err(why);
        assert!(words.split('|').any(|word| refused.contains(word)), "{why}: {refused}");
    }
}
