//! Every way to write an address that is not public: as the host of a URL, and as the address to which a name resolves.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;

use super::*;
use crate::WebhookUrl;

/// Addresses of each forbidden network.
const CLOSED_V4: [(&str, Ipv4Addr); 27] = [
    ("this host", Ipv4Addr::new(0, 0, 0, 0)),
    ("this network", Ipv4Addr::new(0, 1, 2, 3)),
    ("private", Ipv4Addr::new(10, 96, 0, 1)),
    ("private", Ipv4Addr::new(172, 16, 0, 1)),
    ("private", Ipv4Addr::new(172, 31, 255, 255)),
    ("private", Ipv4Addr::new(192, 168, 1, 1)),
    ("carriers", Ipv4Addr::new(100, 64, 0, 1)),
    ("Alibaba Cloud's metadata", Ipv4Addr::new(100, 100, 100, 200)),
    ("loopback", Ipv4Addr::new(127, 0, 0, 1)),
    ("loopback", Ipv4Addr::new(127, 255, 255, 254)),
    ("Azure's host agent", Ipv4Addr::new(168, 63, 129, 16)),
    ("link-local", Ipv4Addr::new(169, 254, 1, 1)),
    ("metadata of AWS, Azure, Google", Ipv4Addr::new(169, 254, 169, 254)),
    ("credentials of AWS' tasks", Ipv4Addr::new(169, 254, 170, 2)),
    ("Oracle Cloud's metadata", Ipv4Addr::new(192, 0, 0, 192)),
    ("documentation", Ipv4Addr::new(192, 0, 2, 1)),
    ("AS112", Ipv4Addr::new(192, 31, 196, 1)),
    ("relays of multicast", Ipv4Addr::new(192, 52, 193, 1)),
    ("relays of 6to4", Ipv4Addr::new(192, 88, 99, 1)),
    ("AS112", Ipv4Addr::new(192, 175, 48, 1)),
    ("benchmarking", Ipv4Addr::new(198, 18, 0, 1)),
    ("documentation", Ipv4Addr::new(198, 51, 100, 7)),
    ("documentation", Ipv4Addr::new(203, 0, 113, 9)),
    ("multicast", Ipv4Addr::new(224, 0, 0, 1)),
    ("multicast", Ipv4Addr::new(239, 255, 255, 250)),
    ("reserved", Ipv4Addr::new(240, 0, 0, 1)),
    ("broadcast", Ipv4Addr::new(255, 255, 255, 255)),
];

const CLOSED_V6: [(&str, &str); 24] = [
    ("unspecified", "::"),
    ("loopback", "::1"),
    ("link-local", "fe80::1"),
    ("site-local", "fec0::1"),
    ("unique local", "fc00::1"),
    ("AWS' metadata", "fd00:ec2::254"),
    ("Google's metadata", "fd20:ce::254"),
    ("multicast on the link", "ff02::1"),
    ("multicast everywhere", "ff0e::1"),
    ("discarded", "100::1"),
    ("Teredo", "2001::1"),
    ("AMT", "2001:3::1"),
    ("AS112", "2001:4:112::1"),
    ("benchmarking", "2001:2::1"),
    ("ORCHID", "2001:10::1"),
    ("ORCHID v2", "2001:20::1"),
    ("documentation", "2001:db8::1"),
    ("6to4", "2002::1"),
    ("AS112", "2620:4f:8000::1"),
    ("documentation", "3fff::1"),
    ("segment routing", "5f00::1"),
    ("a network's own NAT64", "64:ff9b:1::808:808"),
    ("unassigned", "4000::1"),
    ("unassigned", "e000::1"),
];

type Spell = fn(Ipv4Addr) -> String;
type Embed = fn(Ipv4Addr) -> Ipv6Addr;

/// All ways to write this address as the host of a URL.
const SPELLINGS: [(&str, Spell); 19] = [
    ("dotted", |v4| v4.to_string()),
    ("with a dot at its end", |v4| format!("{v4}.")),
    ("decimal", |v4| v4.to_bits().to_string()),
    ("hexadecimal", |v4| format!("0x{:08x}", v4.to_bits())),
    ("hexadecimal in capitals", |v4| format!("0X{:X}", v4.to_bits())),
    ("octal", |v4| format!("0{:o}", v4.to_bits())),
    ("dotted hexadecimal", |v4| dotted(v4, |part| format!("0x{part:x}"))),
    ("dotted octal", |v4| dotted(v4, |part| format!("0{part:o}"))),
    ("dotted octal with zeros before it", |v4| dotted(v4, |part| format!("0000{part:o}"))),
    ("mixed", |v4| {
        let [a, b, c, d] = v4.octets();
        format!("0x{a:x}.{b}.0{c:o}.{d}")
    }),
    ("three parts", |v4| {
        let [a, b, c, d] = v4.octets().map(u32::from);
        format!("{a}.{b}.{}", (c << 8) | d)
    }),
    ("two parts", |v4| format!("{}.{}", v4.octets()[0], v4.to_bits() & 0x00ff_ffff)),
    ("two parts, hexadecimal", |v4| format!("0x{:x}.0x{:x}", v4.octets()[0], v4.to_bits() & 0x00ff_ffff)),
    ("percent-encoded", |v4| {
        v4.to_string().bytes().fold(String::new(), |mut text, byte| {
            write!(text, "%{byte:02x}").unwrap();
            text
        })
    }),
    ("full-width digits", |v4| with_digits(v4, |digit| char::from_u32(0xff10 + digit).unwrap())),
    ("mathematical digits", |v4| with_digits(v4, |digit| char::from_u32(0x1d7ce + digit).unwrap())),
    ("ideographic full stops", |v4| v4.to_string().replace('.', "\u{3002}")),
    ("with soft hyphens", |v4| v4.to_string().replace('.', "\u{ad}.")),
    ("with a port behind it and a path before that", |v4| format!("{v4}:80")),
];

/// The IPv6 addresses that contain, or route to, an IPv4 address.
const EMBEDDINGS: [(&str, Embed); 9] = [
    ("mapped", |v4| v4.to_ipv6_mapped()),
    ("compatible", |v4| v6([0, 0, 0, 0, 0, 0], v4)),
    ("translated", |v4| v6([0, 0, 0, 0, 0xffff, 0], v4)),
    ("NAT64", |v4| v6([0x64, 0xff9b, 0, 0, 0, 0], v4)),
    ("a network's own NAT64", |v4| v6([0x64, 0xff9b, 1, 0, 0, 0], v4)),
    ("6to4", |v4| {
        let [high, low] = halves(v4);
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)
    }),
    ("a client of Teredo", |v4| {
        let [high, low] = halves(v4);
        Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low)
    }),
    ("a server of Teredo", |v4| {
        let [high, low] = halves(v4);
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0, 0)
    }),
    ("ISATAP on the link", |v4| v6([0xfe80, 0, 0, 0, 0, 0x5efe], v4)),
];

fn dotted(v4: Ipv4Addr, spell: impl Fn(u8) -> String) -> String {
    v4.octets().map(spell).join(".")
}

fn with_digits(v4: Ipv4Addr, digit: impl Fn(u32) -> char) -> String {
    v4.to_string().chars().map(|letter| letter.to_digit(10).map_or(letter, &digit)).collect()
}

fn halves(v4: Ipv4Addr) -> [u16; 2] {
    let [a, b, c, d] = v4.octets();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

fn v6([a, b, c, d, e, f]: [u16; 6], v4: Ipv4Addr) -> Ipv6Addr {
    let [high, low] = halves(v4);
    Ipv6Addr::new(a, b, c, d, e, f, high, low)
}

/// An IPv6 address in brackets: short, in full, in capitals.
fn brackets(v6: Ipv6Addr) -> [String; 3] {
    let full = v6.segments().map(|segment| format!("{segment:04x}")).join(":");
    [format!("[{v6}]"), format!("[{full}]"), format!("[{}]", v6.to_string().to_uppercase())]
}

/// Every spelling of a host that is a forbidden address, with a description.
fn hosts() -> Vec<(String, String)> {
    let mut hosts = Vec::new();
    for (network, v4) in CLOSED_V4 {
        hosts.extend(SPELLINGS.map(|(how, spell)| (format!("{network}, {how}"), spell(v4))));
        for (how, embed) in EMBEDDINGS {
            hosts.extend(brackets(embed(v4)).map(|host| (format!("{network}, {how}"), host)));
        }
        hosts.push((format!("{network}, mapped, dotted"), format!("[::ffff:{v4}]")));
        hosts.push((format!("{network}, NAT64, dotted"), format!("[64:ff9b::{v4}]")));
    }
    for (network, v6) in CLOSED_V6 {
        hosts.extend(brackets(v6.parse().unwrap()).map(|host| (network.to_owned(), host)));
    }
    hosts
}

/// Every forbidden address that a name server can return.
fn answers() -> Vec<(String, IpAddr)> {
    let mut answers: Vec<(String, IpAddr)> = Vec::new();
    for (network, v4) in CLOSED_V4 {
        answers.push((network.to_owned(), v4.into()));
        answers.extend(EMBEDDINGS.map(|(how, embed)| (format!("{network}, {how}"), embed(v4).into())));
    }
    answers.extend(CLOSED_V6.map(|(network, v6)| (network.to_owned(), v6.parse().unwrap())));
    answers
}

#[tokio::test]
async fn no_spelling_of_a_closed_address_is_reached() {
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = inside.local_addr().unwrap().port();
    let transport = transport_with_names(&[], |name| panic!("{name} is an address, and was looked up"));
    let hosts = hosts();
    assert!(hosts.len() > 1000, "the table has {} hosts", hosts.len());
    for (what, host) in hosts {
        let place = if host.ends_with(":80") { host } else { format!("{host}:{port}") };
        let text = format!("https://{place}/latest/meta-data");
        let url: WebhookUrl = text.parse().unwrap_or_else(|error| panic!("{what}: {text}: {error}"));
        let refused = transport.send(request(url.expose().to_owned())).await;
        assert!(
            matches!(&refused, Err(TransportError::EgressRefused(EgressRefusal::Address { .. }))),
            "{what}: {text}: {refused:?}"
        );
    }
    assert!(inside.accept().now_or_never().is_none(), "a connection was made");
}

#[tokio::test]
async fn no_name_leads_to_a_closed_address() {
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = inside.local_addr().unwrap().port();
    let answers = answers();
    assert!(answers.len() > 250, "the table has {} answers", answers.len());
    let answer = Arc::new(Mutex::new(None));
    let current = Arc::clone(&answer);
    let transport = transport_with_names(&[], move |_| current.lock().unwrap().into_iter().collect());
    for (what, address) in answers {
        *answer.lock().unwrap() = Some(SocketAddr::new(address, 0));
        let refused = transport.send(request(format!("https://hooks.example.com:{port}/"))).await;
        let expected = EgressRefusal::Address { host: "hooks.example.com".to_owned() };
        assert_eq!(refused.unwrap_err(), TransportError::EgressRefused(expected), "{what}: {address}");
    }
    assert!(inside.accept().now_or_never().is_none(), "a connection was made");
}

#[test]
fn the_same_spellings_of_a_public_address_are_allowed() {
    let public = Ipv4Addr::new(8, 8, 8, 8);
    let spelled = SPELLINGS.map(|(_, spell)| spell(public));
    let embedded = ["[::ffff:8.8.8.8]", "[64:ff9b::8.8.8.8]", "[2606:4700::1111]"].map(str::to_owned);
    for host in spelled.into_iter().chain(embedded) {
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        assert_eq!(EgressPolicy::default().route(&url), Ok(Route::Public), "{host}");
        let url = Url::parse(&format!("http://{host}/")).unwrap();
        assert!(matches!(EgressPolicy::default().route(&url), Err(EgressRefusal::Scheme { .. })), "{host}");
    }
}

#[test]
fn an_invalid_host_is_not_a_url() {
    for host in [
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[::1%25lo]",
        "[fe80::1]%25eth0",
        "256.1.1.1",
        "0400.0.0.1",
        "08.0.0.1",
        "1.2.3.4.5",
        "127..1",
        "0x100000000",
        "4294967296",
        "127.0.0.1%00",
        "127.0.0.1%0d%0aHost:x",
        "[::ffff:256.0.0.1]",
        "[::ffff:0x7f.0.0.1]",
        "[::1",
        "::1",
        "[]",
        "",
        "a b",
        "10.0.0.0%2f8",
    ] {
        let text = format!("https://{host}/");
        assert!(text.parse::<WebhookUrl>().is_err(), "{text}");
    }
}

/// Text before the host does not change the host: user info is refused, and a backslash counts as a slash.
#[tokio::test]
async fn text_before_or_after_the_host_is_not_used_as_the_host() {
    let transport = transport_with_names(&[], |name| panic!("{name} was looked up"));
    for text in [
        "https://api.cognigy.ai@127.0.0.1/",
        "https://127.0.0.1@api.cognigy.ai/",
        "https://:secret@api.cognigy.ai/",
        "https://me@api.cognigy.ai/",
        "https://api.cognigy.ai:443@127.0.0.1/",
    ] {
        assert!(text.parse::<WebhookUrl>().is_err(), "{text}");
        let url = Url::parse(text).unwrap();
        assert_eq!(EgressPolicy::default().check(&url), Err(EgressRefusal::Shape), "{text}");
    }
    for text in ["https:\\\\127.0.0.1\\@api.cognigy.ai/", "https:127.0.0.1#@api.cognigy.ai/", "https:///127.0.0.1/"] {
        let url = Url::parse(text).unwrap();
        let refused = transport.send(request(url.to_string())).await;
        assert!(matches!(refused, Err(TransportError::EgressRefused(EgressRefusal::Address { .. }))), "{text}");
    }
}
