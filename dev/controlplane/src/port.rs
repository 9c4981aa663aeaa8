//! A free port of the loopback interface, kept free for the API server while it is down.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

use crate::error::{Error, Trying};

/// A port that the system gives to no other process, neither between its choice and the API server's start, nor between
/// a kill and a restart.
///
/// A socket that is bound but does not listen holds the port. Connections are refused as if the socket did not exist,
/// but Linux lets a listener with `SO_REUSEADDR` (which Go sets) share the address. Other systems do not allow this.
/// There the port is only looked up, and if another process takes it first, the start is repeated.
pub(crate) struct ReservedPort {
    number: u16,
    _holder: Option<TcpSocket>,
}

impl ReservedPort {
    /// Reserves a port that is free now.
    pub(crate) fn reserve() -> Result<Self, Error> {
        let action = || "reserve a port on 127.0.0.1".to_owned();
        let socket = TcpSocket::new_v4().trying(action)?;
        socket.set_reuseaddr(true).trying(action)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).trying(action)?;
        let number = socket.local_addr().trying(action)?.port();
        let holder = cfg!(target_os = "linux").then_some(socket);
        Ok(Self { number, _holder: holder })
    }

    /// The port's number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::{
        collections::BTreeSet,
        io::ErrorKind,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn a_reserved_port_refuses_connections_until_someone_listens() {
        let port = ReservedPort::reserve().unwrap();
        let address = (Ipv4Addr::LOCALHOST, port.number());
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // The standard library's listener sets SO_REUSEADDR, as Go's does.
        let _listener = TcpListener::bind(address).unwrap();
        TcpStream::connect(address).unwrap();
    }

    #[tokio::test]
    async fn no_port_is_reserved_twice() {
        let ports: Vec<ReservedPort> = (0..200).map(|_| ReservedPort::reserve().unwrap()).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(ReservedPort::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }
}
