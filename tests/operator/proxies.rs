//! The operator uses the proxy of its flag, and ignores the proxies of common environment variables.

use crate::support::*;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A host name that only the proxy can resolve.
const NAME: &str = "cognigy.example.com";

/// A proxy that opens tunnels (CONNECT), all of them to the same port. It ends with the test.
struct Proxy {
    port: u16,
    leads_to: Arc<OnceLock<u16>>,
    heads: Arc<Mutex<Vec<String>>>,
    _tunnels: JoinSet<()>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (leads_to, heads) = (Arc::<OnceLock<u16>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (place, seen) = (Arc::clone(&leads_to), Arc::clone(&heads));
        let mut tunnels = JoinSet::new();
        tunnels.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                open.spawn(tunnel(connection, Arc::clone(&place), Arc::clone(&seen)));
            }
        });
        Self { port, leads_to, heads, _tunnels: tunnels }
    }

    fn url(&self) -> String {
        format!("http://me:pr0xy-s3cr3t@127.0.0.1:{}", self.port)
    }

    fn lead_to(&self, namespace: &TestNamespace) {
        let url = namespace.platform.url();
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        self.leads_to.set(port).unwrap();
    }

    /// The heads of all requests to the proxy so far.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(mut connection: TcpStream, leads_to: Arc<OnceLock<u16>>, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    let Some(port) = leads_to.get() else { return };
    let Ok(mut platform) = TcpStream::connect(("127.0.0.1", *port)).await else { return };
    if connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
        // Either side may close the connection at any time.
        let _ = copy_bidirectional(&mut connection, &mut platform).await;
    }
}

/// A namespace whose platform can be reached only through a proxy, and the credentials for it.
async fn world_behind(flags: &[&str], ambient: &Proxy) -> (TestNamespace, Value) {
    let (tls, authority) = certified(NAME);
    let plan = plan().await.tls(tls).without_secret().flags(flags);
    let namespace = with_ambient(plan, ambient).start().await;
    let mut credentials = namespace.credentials();
    credentials["baseUrl"] = json!(format!("https://{NAME}"));
    credentials["tokenUrl"] = json!(format!("https://{NAME}/oauth/token"));
    credentials["ca.crt"] = json!(authority);
    (namespace, credentials)
}

/// Sets every environment variable that programs commonly take a proxy from.
fn with_ambient(plan: NamespacePlan<'static>, proxy: &Proxy) -> NamespacePlan<'static> {
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let plan = names.iter().fold(plan, |plan, name| plan.variable(name, &proxy.url()));
    plan.variable("NO_PROXY", "").variable("no_proxy", "")
}

#[tokio::test]
async fn proxies_from_environment_variables_are_never_used() {
    let ambient = Proxy::start().await;
    let (tls, authority) = certified("127.0.0.1");
    let namespace = with_ambient(plan().await.tls(tls), &ambient).start().await;
    ambient.lead_to(&namespace);
    let mut trusting = namespace.credentials();
    trusting["ca.crt"] = json!(authority);
    namespace.put_secret("cognigy-api", trusting).await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    assert_eq!(ambient.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn the_proxy_of_the_flag_is_used_for_every_connection_and_resolves_host_names() {
    let (ambient, proxy) = (Proxy::start().await, Proxy::start().await);
    let (namespace, credentials) = world_behind(&["--https-proxy", &proxy.url()], &ambient).await;
    proxy.lead_to(&namespace);
    namespace.put_secret("cognigy-api", credentials).await;
    namespace.apply(sample()).await.until_settled(1, Outcome::Succeeded).await;
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with(&format!("CONNECT {NAME}:443 HTTP/1.1\r\n")), "{head}");
        assert!(head.contains("Basic bWU6cHIweHktczNjcjN0") && !head.contains("Bearer"), "{head}");
    }
    assert_eq!(ambient.heads(), Vec::<String>::new());
    let told = namespace.all_requests();
    assert!(told.iter().all(|record| !record.headers.contains_key("proxy-authorization")), "{told:?}");
    assert!(!namespace.operator().log().text().contains("pr0xy-s3cr3t"));
}

#[tokio::test]
async fn a_proxy_to_a_server_with_a_wrong_certificate_receives_no_request() {
    let (ambient, proxy) = (Proxy::start().await, Proxy::start().await);
    let (namespace, mut credentials) = world_behind(&["--https-proxy", &proxy.url()], &ambient).await;
    proxy.lead_to(&namespace);
    // The operator trusts another certificate authority than the one that signed the server's certificate.
    credentials["ca.crt"] = json!(certified(NAME).1);
    namespace.put_secret("cognigy-api", credentials).await;
    let object = namespace.apply(sample()).await.until_ready_reason(Reason::ApiUnavailable).await;
    let message = &object.condition(ConditionType::Ready).message;
    assert!(message.contains("certificate"), "{message}");
    assert!(!proxy.heads().is_empty());
    assert_eq!(namespace.calls(), []);
}
