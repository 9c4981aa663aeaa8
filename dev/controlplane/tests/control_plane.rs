//! Tests of the control plane through its public interface. Each test starts one; it is ready in seconds.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use control_plane::{ControlPlane, Error, Options};
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use serde_json::{Value, json};

struct Caller<'a> {
    control_plane: &'a ControlPlane,
    client: Client,
}

impl<'a> Caller<'a> {
    fn of(control_plane: &'a ControlPlane) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let ca = Certificate::from_pem(control_plane.ca_pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        Self { control_plane, client }
    }

    async fn call(&self, token: Option<&str>, method: Method, path: &str, body: Value) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.control_plane.server()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    async fn as_admin(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.call(Some(self.control_plane.admin_token()), method, path, body).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }
}

#[tokio::test]
async fn the_api_server_has_the_named_release_and_authorizes_by_role() {
    let control_plane = ControlPlane::start(Options::default()).await.unwrap();
    let caller = Caller::of(&control_plane);

    let version = caller.as_admin(Method::GET, "/version", Value::Null).await;
    if env::var_os("KUBEBUILDER_ASSETS").is_none() {
        assert_eq!(version["gitVersion"], "v1.37.2");
        assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("37")));
    }

    let namespaces = "/api/v1/namespaces";
    let anonymous = caller.call(None, Method::GET, namespaces, Value::Null).await;
    assert_eq!(anonymous.status(), StatusCode::FORBIDDEN);
    let stranger = caller.call(Some("nobody"), Method::GET, namespaces, Value::Null).await;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);

    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    caller.as_admin(Method::POST, accounts, json!({"metadata": {"name": "operator"}})).await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let issued = caller.as_admin(Method::POST, &format!("{accounts}/operator/token"), request).await;
    let token = issued["status"]["token"].as_str().unwrap();
    let bound = caller.call(Some(token), Method::GET, namespaces, Value::Null).await;
    assert_eq!(bound.status(), StatusCode::FORBIDDEN);
    let refusal = bound.text().await.unwrap();
    assert!(refusal.contains("system:serviceaccount:default:operator"), "{refusal}");
}

#[tokio::test]
async fn a_killed_api_server_refuses_connections_and_comes_back_with_its_data() {
    let mut control_plane = ControlPlane::start(Options::default()).await.unwrap();
    let server = control_plane.server();
    let config_maps = "/api/v1/namespaces/default/configmaps";
    let kept = json!({"metadata": {"name": "kept"}, "data": {"key": "value"}});
    Caller::of(&control_plane).as_admin(Method::POST, config_maps, kept).await;

    control_plane.kill_api_server();
    let refused = TcpStream::connect(server.trim_start_matches("https://")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    control_plane.restart_api_server().await.unwrap();
    assert_eq!(control_plane.server(), server);
    let read = Caller::of(&control_plane).as_admin(Method::GET, &format!("{config_maps}/kept"), Value::Null).await;
    assert_eq!(read["data"]["key"], "value");

    let folder = control_plane.folder().to_owned();
    control_plane.stop();
    assert!(!folder.exists());
}

#[tokio::test]
async fn the_error_of_an_api_server_that_cannot_start_shows_its_log() {
    let options = Options { api_server_flags: vec!["--no-such-flag=1".to_owned()], ..Options::default() };
    let error = ControlPlane::start(options).await.err().expect("it must not start");
    assert!(matches!(error, Error::Ended { program: "kube-apiserver", .. }), "{error}");
    assert!(error.to_string().contains("unknown flag: --no-such-flag"), "{error}");
}

/// How `everything_is_gone_when_the_owner_is_killed` starts an owner in a separate process.
const OWNER: &str = "owns_a_control_plane_until_standard_input_ends";

#[tokio::test]
#[ignore = "the process that everything_is_gone_when_the_owner_is_killed starts and kills"]
async fn owns_a_control_plane_until_standard_input_ends() {
    let control_plane = ControlPlane::start(Options::default()).await.unwrap();
    let report = format!("owned {} {}\n", control_plane.server(), control_plane.folder().display());
    std::io::stdout().write_all(report.as_bytes()).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn everything_is_gone_when_the_owner_is_killed() {
    let mut owner = Command::new(env::current_exe().unwrap())
        .args([OWNER, "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let report = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.split_once("owned ").map(|(_, report)| report.to_owned()))
        .expect("the owner starts a control plane");
    let (server, folder) = report.split_once(' ').unwrap();
    let address = server.trim_start_matches("https://");
    let etcd_socket = Path::new(folder).join("etcd.sock");
    TcpStream::connect(address).expect("the API server listens");
    UnixStream::connect(&etcd_socket).expect("etcd listens");

    owner.kill().unwrap();
    owner.wait().unwrap();

    eventually("the API server is gone", || TcpStream::connect(address).is_err());
    eventually("etcd is gone", || UnixStream::connect(&etcd_socket).is_err());
    eventually("the folder is gone", || !Path::new(folder).exists());
}

/// Polls until the condition holds. There is no event to wait for, because these processes are no longer children of
/// ours.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "not after 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
